# Computes for a while, and says whether that took much longer than it computed. For a share of the processors.
work='i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done'
/bin/busybox time -f '%e %U %S' /bin/busybox sh -c "$work" 2>&1 |
    /bin/busybox awk '{ print ($1 >= 3 * ($2 + $3)) ? "slowed down" : $0 }'
