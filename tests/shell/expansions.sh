# Parameter, command and path expansion, quoting, splitting.
x=path/to/file.tar.gz
echo "${x##*/}" "${x#*/}" "${x%.*}" "${x%%.*}" "${#x}" "${x:5}" "${x:5:2}" "${x/to/TO}" "${x//t/T}" "${x/%gz/xz}"
unset u; e=
echo "${u:-one}" "${u-two}" "${e:-three}" "${e-four}|" "${u:+five}|" "${x:+six}" "${u:=seven}" "$u"
(echo "${nothing:?said so}"; echo "not reached") 2>&1; echo "gave $?"
set -- a 'b c' "" d
echo $# "$*" "$@"; for i in "$@"; do echo "<$i>"; done; for i in $*; do echo "[$i]"; done
IFS=-; echo "$*"; set -- $(echo one-two-three); echo $# "$2"; unset IFS
shift; echo "$1 $#"; shift 5 2>/dev/null; echo "shift gave $?"
v='  spaced   out  '; echo $v; echo "$v"; echo $(echo "$v"); echo "$(echo "$v")"
echo `echo backquotes \`echo nested\``; echo "$(echo "$(echo "$(echo deep)")")"
echo 'single $x `no` \n' "double \$x \"quoted\" \\ \`" un\ quoted\$x
touch a1 a2 b1 .hidden 'with space' '[odd]' 'star*'
echo *; echo a*; echo ?1; echo [ab]1; echo [!a]1; echo [a-b][0-9]; echo .h*; echo 'a'*; echo none*; echo \[*; echo w*; echo *\**
set -f; echo a*; set +f
case b1 in a*) echo A;; [b-c]?) echo B;; *) echo other;; esac
case 'a*' in a\*) echo literal;; esac
for f in *; do printf '%s|' "$f"; done; echo
echo ~ ~/sub ~nobody-here "~"
echo {a,b} $'tab\tnewline\x41' 2>/dev/null
long=$(seq 1 5000); echo ${#long}; set -- $long; echo $# ${4999}
eval 'name=dynamic'; eval "echo \$name"; which=name; eval "echo \${$which}"
readonly r=fixed; (r=other) 2>/dev/null; echo "readonly gave $?"
export E=exported; N=kept; sh -c 'echo "${E-none} ${N-none}"'; N=now sh -c 'echo "$N"'; echo "$N"
printf '%s\n' "${x}" | { read -r line; echo "read: $line"; }
echo 'a\tb c\' | { read first rest; echo "$first,$rest"; }; echo 'a:b:c:d' | { IFS=: read one two more; echo "$one $two $more"; }
cat <<EOF | tr a-z A-Z
here $(echo within) ${x%%/*} $((6 * 7)) \$kept
EOF
