# A few thousand files: make, find, sum, rename, remove.
umask 022
mkdir many; cd many
i=0; while [ $i -lt 3000 ]; do d=d$((i % 30)); [ -d $d ] || mkdir $d; echo "contents of $i" > $d/file-$i; i=$((i + 1)); done
find . -type f | wc -l; find . -type d | sort | head -n 5; find . -name '*-2999'
find . -type f | sort | xargs md5sum | md5sum
find . -type f -exec cat {} + | sort | md5sum
find . -name 'file-1??' | sort | head -n 3; find d7 -type f | wc -l; ls d3 | sort | tail -n 2; ls | wc -l
du -s . > /dev/null && echo du; cat */* | wc -c
for d in d1 d2 d3; do mv $d moved-$d; done; ls | sort | tail -n 3
cp -r d10 copy; diff -r d10 copy && echo copied
find . -name '*5' -type f -exec rm {} +; find . -type f | wc -l
ln -s d4/file-4 link; cat link; rm link; [ -e d4/file-4 ] && echo "target stays"
touch -d '2001-02-03 04:05:06' d4/file-4; stat -c '%Y %s %a %F' d4/file-4; chmod 600 d4/file-4; stat -c %a d4/file-4
dd if=/dev/zero of=sparse bs=1 count=1 seek=1000000 2> /dev/null; stat -c %s sparse; md5sum sparse; truncate -s 10 sparse; wc -c sparse
rmdir d5 2> /dev/null || echo "not empty"; rm -r d5 && [ ! -e d5 ] && echo removed
cd ..; rm -rf many; ls | wc -l
