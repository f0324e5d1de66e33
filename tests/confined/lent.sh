# In a folder that is lent, with a named pipe in it: sh lent.sh. It says when it waits; then what it has is taken back.
expect() { # yes or no, and a command
    want=$1; shift
    if ("$@") 2>&-; then got=yes; else got=no; fi
    [ $got = $want ] || echo "WRONG in lent: $* is $got, not $want"
}
reads() { read -r line < "$1"; }
writes() { echo new > "$1"; }
from() { read -r line <&"$1"; }
to() { echo new >&"$1"; }
try() {
    expect $1 reads /file
    expect $1 reads file
    expect $1 reads /sub/../file
    expect $1 writes /new
    expect $1 test -e /file
    expect $1 test -d /sub
    expect $1 cd /sub
    expect $1 to 4
    expect $1 from 3
}
exec 3< /file 4>> /log 5<> /pipe
try yes
echo waits for nothing
# Nobody ever writes into it.
read -r line <&5 && echo "WRONG in lent: something came"
try no
echo done lent
