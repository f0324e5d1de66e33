# In a part of the tree: sh part.sh. Only what the shell has built in is there, and the errors it shows are to be expected.
expect() { # yes or no, and a command
    want=$1; shift
    if ("$@"); then got=yes; else got=no; fi
    [ $got = $want ] || echo "WRONG in part: $* is $got, not $want"
}
reads() { read -r line < "$1"; }
writes() { echo new > "$1"; }
expect yes reads /file
expect yes reads sub/../file
expect yes reads /../../file
expect yes reads inward
for path in /secret ../secret /tmp/secret sub/../../secret sub/../../../../secret absolute upward; do
    expect no reads $path
    expect no writes $path
done
expect no writes /file
cd sub
expect yes reads ../file
expect no reads ../../secret
cd ..; cd ..; cd /..; cd /sub/../..
expect no reads secret
expect no reads tmp/secret
expect yes test -e file
expect no test -e /bin/busybox
expect no test -e /proc
expect no test -e /dev/null
expect no kill -0 1
expect yes kill -0 $$
echo "done part"
