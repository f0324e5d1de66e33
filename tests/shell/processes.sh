# Background jobs, wait, exit statuses, process groups, traps, exec, subshells.
sleep 0.05 & wait $!; echo "wait gave $?"; (exit 9) & wait $!; echo "wait gave $?"; wait 99999999; echo "wait of nobody gave $?"
for n in 5 3 1 4 2; do (sleep 0.$n; echo "job $n") & done; wait; echo "all done"
true & false & wait; echo "wait for all gave $?"; { exit 4; } & p=$!; wait $p; echo $?; wait $p 2>/dev/null; echo "again $?"
sh -c 'kill -9 $$'; echo "killed gave $?"; sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -HUP $$'; echo $?; sh -c 'exit 1 | exit 2 | exit 3'; echo $?; ! true; echo $?; ! false; echo $?
false || echo or; true && echo and; false && echo no; true || echo no; { false; true; } && echo group; (exit 3) || echo "sub $?"; if false; then echo no; elif true; then echo elif; else echo no; fi
trap 'echo "trap USR1"' USR1; kill -USR1 $$; sh -c 'kill -USR1 $PPID'; echo "after"; trap - USR1; trap; trap 'echo one; echo two' USR2; trap | grep -c USR2; kill -USR2 $$
sh -c 'trap "echo bye" EXIT; echo working; exit 6'; echo "gave $?"; sh -c 'trap "echo interrupted; exit 1" INT; kill -INT $$; echo "not reached"'; echo $?; sh -c 'trap "" TERM; kill -TERM $$; echo "ignored"'; (trap 'echo sub bye' EXIT; true); sh -c 'trap "echo err" ERR; false' 2>/dev/null
sleep 100 & kill $!; wait $!; echo "killed sleep gave $?"; sleep 100 & kill -STOP $!; kill -CONT $!; kill -KILL $!; wait $!; echo $?; kill -0 $$ && echo alive; kill -0 99999999 2>/dev/null; echo "nobody gave $?"; kill -l 9 15; kill -l | wc -l
sh -c 'echo $0 $1 $#' zero one two; sh -c 'echo $PPID' | grep -c .; exec 9>&1; (exec sh -c 'echo replaced'; echo "not reached"); echo $$ | grep -c .; [ $(sh -c 'echo $PPID') = $$ ] && echo "child of mine"
x=1; (x=2; echo $x); echo $x; { x=3; }; echo $x; echo $x | { read y; x=$y$y; echo $x; }; echo $x; y=$(x=4; echo $x; exit 5); echo "$y $? $x"
timeout 0.1 sleep 10; echo "timeout gave $?"; timeout 10 true; echo $?; timeout -s KILL 0.1 sleep 10; echo $?; nohup echo nohup 2>/dev/null; env -i A=1 sh -c 'echo $A ${HOME-none}'; env | sort | grep -c =
time_of() { date +%s%N | cut -c1-13; }; usleep 1000; [ "$(date +%s)" -gt 1600000000 ] && echo "after 2020"; date -u -d @86400 +%F; date -u -d '2001-02-03 04:05:06' +%s; cal 2 2000 | head -n 3
n=0; while [ $n -lt 200 ]; do (exit $((n % 7))); s=$?; [ $s = $((n % 7)) ] || echo wrong; n=$((n + 1)); done; echo "$n subshells"; n=0; while [ $n -lt 100 ]; do echo $n; n=$((n + 1)); done | sort -n | tail -n 1
seq 1 40 | while read n; do (echo $n) & done | sort -n | tr '\n' ' '; wait; echo; (for i in 1 2 3 4 5 6 7 8; do (seq 1 2000 | md5sum > sum$i) & done; wait); sort -u sum? | wc -l
mkfifo pipe; (sleep 0.05; echo through > pipe) & read l < pipe; echo "$l"; (cat pipe | sort -r | head -n 2) & seq 10 > pipe; wait; exec 8<> pipe; echo kept >&8; read l <&8; echo $l; exec 8>&-
sh -m -c 'sleep 100 & jobs | cut -c1-20; kill %1; wait %1 2>/dev/null; echo "job gave $?"'
umask 0; ulimit -n > /dev/null && echo limits; ulimit -n 50; sh -c 'ulimit -n'; (ulimit -f 1; yes > limited 2>/dev/null); echo "over the limit gave $?"; (ulimit -t 1; while :; do :; done) 2>/dev/null; echo "time limit gave $?"
setsid sh -c 'echo "own session"'; pidof no-such-program; echo "pidof gave $?"; printf 'exit %d\n' 7 | sh; echo $?; echo 'echo from stdin' | sh -s; sh -n -c 'if'; echo "syntax gave $?"
exit 33
