# In the whole tree with some rights: sh whole.sh MODE. Standard input is /tmp/secret, and /tmp/id has the number of a Linux
# process outside, which sleeps.
mode=$1
until [ -s /tmp/id ]; do :; done
read -r id < /tmp/id
expect() { # yes or no, and a command
    want=$1; shift
    if ("$@") > /dev/null 2>&1; then got=yes; else got=no; fi
    [ $got = $want ] || echo "WRONG in $mode: $* is $got, not $want"
}
case $mode in
ro | known) read=yes write=no run=yes ;;
rw) read=yes write=yes run=yes ;;
esac
expect $read cat /tmp/in/file
expect $read ls /tmp/in
expect $run /bin/busybox true
# Everything that changes a file or the tree, at the front door and around it.
expect $write touch /tmp/in/file
expect $write sh -c 'echo new > /tmp/in/file'
expect $write sh -c 'echo more >> /tmp/in/sub/../file'
expect $write sh -c 'echo new > /tmp/link-to-file'
expect $write sh -c 'cd /tmp/in/sub && echo new > ../file'
expect $write sh -c 'exec 3< /tmp/in/file; echo new > /proc/self/fd/3'
expect $write sh -c 'echo new > /proc/self/root/tmp/in/file'
expect $write sh -c 'cd /tmp/in; echo new > /proc/self/cwd/file'
expect $write sh -c 'echo new > /proc/$$/root/tmp/in/file'
expect $write chmod 600 /tmp/in/file
expect $write chown 5 /tmp/in/file
expect $write truncate -s 3 /tmp/in/file
expect $write mkdir -p /tmp/in/new/newer
expect $write ln -s file /tmp/in/symbolic
expect $write ln /tmp/in/file /tmp/in/hard
expect $write mv /tmp/in/file /tmp/in/sub/moved
expect $write mv /tmp/in/sub/moved /tmp/in/file
expect $write mkfifo /tmp/in/pipe
expect $write mknod /tmp/in/null c 1 3
expect $write rm /tmp/in/symbolic /tmp/in/hard /tmp/in/pipe /tmp/in/null
expect $write rmdir /tmp/in/new/newer /tmp/in/new
# A stream is what it was opened for, also by way of /proc; the file behind it is not.
expect $read cat /proc/self/fd/0
expect no sh -c 'echo new > /proc/self/fd/0'
expect no sh -c 'echo new >&0'
expect no chmod 600 /proc/self/fd/0
# What concerns nobody else may be written to.
expect yes sh -c 'echo gone > /dev/null'
expect yes head -c 9 /dev/urandom
# Others.
case $mode in
ro) known=no ;;
rw | known) known=yes ;;
esac
case $mode in
rw) signal=yes ;;
*) signal=no ;;
esac
expect $known test -d /proc/$id
expect $known cat /proc/$id/stat
expect $known grep -q sleep /proc/$id/cmdline
expect $signal kill -0 $id
for inside in environ maps fd/0 cwd/. root/tmp/in/file fd; do
    expect no ls /proc/$id/$inside/
    expect no cat /proc/$id/$inside
done
expect no sh -c "echo new > /proc/$id/root/tmp/secret"
# Itself and its children are always known.
expect yes cat /proc/self/environ
expect yes sh -c 'sleep 9 & kill $!'
expect yes ls /proc/self/fd/
echo "done $mode"
