# tar, gzip, bzip2, xz, cpio over a tree, and back.
umask 022
mkdir -p tree/a/b tree/c
i=0; while [ $i -lt 300 ]; do echo "file $i of the tree, $((i * 7919 % 104729))" > tree/a/b/f$i; i=$((i + 1)); done
ln -s a/b/f1 tree/link; ln tree/a/b/f2 tree/c/hard; chmod 750 tree/a; : > tree/empty
tar -cf tree.tar tree; tar -tf tree.tar | wc -l; tar -tf tree.tar | sort | md5sum
mkdir out; tar -xf tree.tar -C out; diff -r tree out/tree && echo "the same tree"
readlink out/tree/link; stat -c '%a %h %F' out/tree/a out/tree/c/hard
gzip -k tree.tar; gunzip -c tree.tar.gz | cmp - tree.tar && echo gzip
bzip2 -k tree.tar; bunzip2 -c tree.tar.bz2 | cmp - tree.tar && echo bzip2
tar -cf - tree | gzip > again.tgz; gunzip -c again.tgz | tar -xOf - tree/a/b/f7
(cd tree && find . | sort | cpio -o -H newc 2> /dev/null) > tree.cpio; mkdir out2; (cd out2 && cpio -id < ../tree.cpio 2> /dev/null); diff -r tree out2 && echo cpio
seq 1 200000 > numbers; gzip -c numbers | gunzip -c | md5sum; md5sum numbers
gzip -t tree.tar.gz && echo good; head -c 100 tree.tar.gz > cut.gz; gzip -t cut.gz 2> /dev/null; echo "cut: $?"
rm -r tree out out2; ls
