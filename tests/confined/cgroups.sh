# What a program in a share sees and changes at /sys/fs/cgroup: what is below its own share, and nothing else. "$1" is
# `rw`, or `ro` where the tree may only be looked at.
cgroups=/sys/fs/cgroup

wrong() {
    echo "WRONG: $*"
}

# Somebody outside has made a cgroup `outside` by now.
until [ -e /tmp/outside-is-there ]; do sleep 0.05; done
[ -e $cgroups/outside ] && wrong "others' cgroups are seen"
[ "$(cat /proc/self/cgroup)" = 0::/ ] || wrong "$(cat /proc/self/cgroup)"
[ "$(cat /proc/1/cgroup 2> /dev/null)" = "" ] || wrong "others are seen"
for file in cpu.max cpu.weight cpuset.cpus cgroup.events; do
    [ -e $cgroups/$file ] && wrong "$file at the root"
done
grep -q "^$$\$" $cgroups/cgroup.procs || wrong "not in its own root"
grep -q '^1$' $cgroups/cgroup.procs && wrong "the first process is in the root"

if [ "$1" = ro ]; then
    mkdir $cgroups/inner 2> /dev/null && wrong "made where nothing may be changed"
    (echo +cpu > $cgroups/cgroup.subtree_control) 2> /dev/null && wrong "changed"
    echo done ro
    exit
fi

mkdir $cgroups/inner || wrong mkdir
echo '+cpu +cpuset' > $cgroups/cgroup.subtree_control || wrong subtree_control
echo 10000 > $cgroups/inner/cpu.weight || wrong cpu.weight
(echo 1 > $cgroups/inner/cgroup.procs) 2> /dev/null && wrong "somebody else was moved"
sleep 1000 &
echo $! > $cgroups/inner/cgroup.procs || wrong cgroup.procs
[ "$(cat /proc/$!/cgroup)" = 0::/inner ] || wrong "$(cat /proc/$!/cgroup)"
rmdir $cgroups/inner 2> /dev/null && wrong "removed with somebody in it"
kill $!
wait $! 2> /dev/null
rmdir $cgroups/inner || wrong rmdir
echo done rw
