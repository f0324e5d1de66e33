# Here-documents, redirections, file descriptors.
umask 022
name=world
cat <<END
hello $name
$((1 + 1)) and $(echo command)
END
cat <<'END'
no $expansion `here`
END
cat <<-END
	tabs are
		removed
	END
cat > file <<END
line one
line two
END
while read a b; do echo "$b/$a"; done < file
echo more >> file; wc -l < file
exec 3> three; echo to three >&3; exec 3>&-; cat three
exec 4< file; read first <&4; read second <&4; echo "$first, $second"; exec 4<&-
ls no-such-file 2> errors || echo "ls failed"; cat errors
{ echo out; echo err >&2; } > both 2>&1; cat both
echo discarded > /dev/null; echo "$?"
head -c 5 /dev/zero | od -An -tx1
: > empty; [ -s empty ] || echo "empty is empty"
echo x > /dev/full || echo "full is full"
set -C; echo again > file || echo "not overwritten"
cat file - < three
cat <<A; cat <<B
first
A
second
B
