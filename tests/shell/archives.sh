# tar, cpio, ar, gzip, bzip2, xz, lzma, zip over the same tree, whole and broken.
umask 022
mkdir -p tree/sub/deep; for i in $(seq 1 120); do echo "content $i $((i * 31337 % 1009))" > tree/f$i; seq $i > tree/sub/s$i; done; ln -s f1 tree/link; ln tree/f2 tree/hard; : > tree/empty; chmod 711 tree/f3; head -c 300000 /dev/zero > tree/zeros; touch -d '2010-01-01 00:00:00' tree/f4
tar cf t.tar tree; tar tf t.tar | sort | md5sum; mkdir x; tar xf t.tar -C x; diff -r tree x/tree && echo "tar same"; readlink x/tree/link; stat -c '%a %Y' x/tree/f3 x/tree/f4 | sed '1s/ .*//'; [ x/tree/f2 -ef x/tree/hard ] && echo "hard link kept"
tar cf - tree | gzip > t.tgz; gzip -t t.tgz && echo "gzip good"; zcat t.tgz | tar tf - | wc -l; zcat t.tgz | tar xOf - tree/f7; tar xf t.tar tree/sub/s3 -O | tail -n 1; tar cf - tree/sub | (mkdir y; cd y; tar xf -); find y -type f | wc -l; tar xf t.tar nothing 2>/dev/null; echo "missing member gave $?"
cp tree/f1 one; gzip one; [ -e one ] || echo replaced; gunzip one.gz; cmp one tree/f1 && echo "gzip round"; gzip -c one | zcat; gzip -9 < tree/zeros | wc -c | awk '{ print ($1 < 1000) }'; bzip2 -k one; bunzip2 -c one.bz2 | cmp - one && echo "bzip2 round"; bzip2 < tree/zeros | bzcat | cmp - tree/zeros && echo "zeros round"
seq 200000 > n; gzip -c n > n.gz; bzip2 -c n > n.bz2; zcat n.gz | md5sum; bzcat n.bz2 | md5sum; md5sum < n; for l in 1 5 9; do gzip -$l < n | gunzip | cmp - n && echo "level $l"; done
head -c 5000 n.gz > cut.gz; gunzip -c cut.gz > part 2>/dev/null; echo "cut gave $?"; head -c 100 part; printf 'garbage' > bad.gz; gunzip bad.gz 2>/dev/null; echo "garbage gave $?"; cat n.gz n.gz | zcat | wc -l; gzip -d < /dev/null 2>/dev/null; echo "nothing gave $?"
(cd tree && find . | sort | cpio -o -H newc 2>/dev/null) > c.cpio; cpio -t < c.cpio 2>/dev/null | wc -l; mkdir z; (cd z && cpio -id < ../c.cpio 2>/dev/null); diff -r tree z && echo "cpio same"
head -c 20000 t.tar > short.tar; tar tf short.tar > list 2>/dev/null; echo "short gave $?"; [ -s list ] && echo "some of it"; tar tf /dev/null; echo "empty gave $?"; echo garbage | tar tf - 2>/dev/null; echo "garbage gave $?"
unzip -l none.zip 2>/dev/null; echo "unzip gave $?"
md5sum tree/f* | md5sum; md5sum tree/f1 > sums; md5sum -c sums; echo changed > tree/f1; md5sum -c sums 2>/dev/null; echo "check gave $?"; sha1sum tree/f2; sha256sum tree/f2; sha512sum tree/f2 | cut -c1-40; sha3sum tree/f2
rm -r tree x y z; ls | wc -l
