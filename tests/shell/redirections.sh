# Descriptors, here-documents, order of redirections, appending, clobbering, reading and writing one file.
echo one > f; echo two >> f; cat < f; cat f - < f | wc -l
{ echo out; echo err >&2; } > o 2> e; cat o e; { echo out; echo err >&2; } 2>&1 > o | sed 's/^/pipe: /'; cat o
ls nothing > both 2>&1; cat both; ls nothing 2>&1 >/dev/null | wc -l
exec 5> five; echo to five >&5; echo again >&5; exec 5>&-; cat five; echo x >&5; echo "closed gave $?"
exec 6<> six; echo written >&6; exec 6>&-; cat six
exec 7< five; read a <&7; read b <&7; read c <&7; echo "$a/$b/$c $?"; exec 7<&-
exec 3>&1; exec > captured; echo inside; exec >&3 3>&-; echo outside; cat captured
cat <<A; cat <<B
first $((1 + 1))
A
second
B
cat <<'RAW' - <<-TABS
$not $(expanded)
RAW
	tab removed
TABS
while read l; do echo "$l"; cat > /dev/null; done <<END
only the first
not this
END
set -C; echo no > f; echo "noclobber gave $?"; echo yes >| f; set +C; cat f
: > empty; wc -c < empty; > empty2; [ -e empty2 ] && echo made
cat < missing; echo "missing gave $?"; echo x > /no/dir/file; echo "directory gave $?"; echo x > .; echo "dot gave $?"
(echo a; echo b; echo c) | (read x; echo "first $x"; cat)
echo hidden 2>&1 1>/dev/null; echo "to stderr" 1>&2 2>/dev/null; { echo gone; } >&- 2>/dev/null; echo "closed output gave $?"
seq 100000 > big; (head -n 1; tail -n 1) < big | tr '\n' ' '; echo; (read a; read b; cat | md5sum; echo $a $b) < big
dd if=big of=part bs=1000 skip=5 count=2 2>/dev/null; md5sum < part; dd if=/dev/zero of=big bs=1 seek=10 count=5 conv=notrunc 2>/dev/null; head -c 20 big | od -c
printf 'abc' | dd bs=1 count=2 2>/dev/null; echo; echo text | tee t1 t2 > t3; cat t1 t2 t3 | uniq -c
truncate -s 1000000 sparse; wc -c < sparse; tr -d '\0' < sparse | wc -c
cat /dev/null; head -c 3 /dev/zero | od -An -tx1; echo x > /dev/full; echo "full gave $?"
yes line | head -n 30000 | md5sum; yes | (head -c 10; exit 3); echo "pipeline gave $?"
