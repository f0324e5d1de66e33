# Background jobs, wait, traps, signals between processes.
umask 022
(sleep 0.3; echo late > one; exit 3) & first=$!
(exit 5) & second=$!
wait $second; echo "second gave $?"
wait $first; echo "first gave $?, and wrote $(cat one)"
for n in 1 2 3 4 5; do (sleep 0.0$n; echo $n > job$n) & done; wait; cat job1 job2 job3 job4 job5
trap 'echo trapped USR1' USR1
(kill -USR1 $$) ; echo "after the signal"
trap 'echo leaving with $?' EXIT
sleep 100 & long=$!
# Whether the shell says how it ended depends on whether it has ended before the shell waits.
kill $long; wait $long 2> /dev/null; echo "killed: $?"
sleep 100 & long=$!
kill -9 $long; wait $long 2> /dev/null; echo "killed hard: $?"
trap '' TERM
sh -c 'kill -TERM $$; echo ignored TERM'
trap - TERM
sh -c 'trap "echo got INT; exit 42" INT; kill -INT $$; sleep 5; echo not reached'; echo "child gave $?"
sh -c 'kill -SEGV $$'; echo "child died: $?"
sh -c 'kill -PIPE $$'; echo "child died: $?"
yes | head -n 1
mkfifo fifo; (echo through the fifo > fifo) & cat fifo; wait
timeout 0.3 sleep 100; echo "timeout gave $?"
time_is() { date +%s; }; a=$(time_is); sleep 1; b=$(time_is); [ $((b - a)) -ge 1 ] && echo "a second passed"
exit 17
