# What goes wrong must go wrong in the same way, with the same words and the same status.
umask 022
cat missing; echo $?
cat .; echo $?
mkdir d; mkdir d; echo $?
rmdir /no/such; echo $?
echo x > d; echo $?
echo x > d/none/file; echo $?
mv missing other; echo $?
cp missing other; echo $?
ln d hard; echo $?
echo text > plain; ls plain/below; echo $?
./plain; echo $?
no-such-command; echo $?
chmod +x plain; chmod 999 plain; echo $?
printf '#!/no/such/interpreter\n' > bad; chmod +x bad; ./bad; echo $?
printf '\177ELF garbage' > elf; chmod +x elf; ./elf 2> /dev/null; echo $?
sh -c 'exit 300'; echo $?
sh -c 'syntax error ('; echo $?
kill -0 99999999; echo $?
sleep x; echo $?
expr 1 / 0; echo $?
test 1 -eq one; echo $?
unset nothing; echo "${nothing?is not set}"; echo "not reached"
