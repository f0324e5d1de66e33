# sort, uniq, sed, awk, cut, tr, grep and friends.
umask 022
printf 'pear 3\napple 10\nfig 3\napple 2\nbanana 7\n' > fruit
sort fruit; sort -k2,2n -k1,1 fruit; sort -u -k1,1 fruit
cut -d' ' -f1 fruit | sort | uniq -c | sort -rn
sed -e 's/a/A/g' -e '2d' -e '$s/^/last: /' fruit
sed -n '/apple/,/fig/p' fruit
sed 's/\([a-z]*\) \([0-9]*\)/\2 \1/' fruit | sed = | sed 'N;s/\n/: /'
awk '{ count[$1] += $2 } END { for (k in count) print k, count[k] }' fruit | sort
awk -F' ' 'NR % 2 { printf "%-10s|%5.2f|%05d\n", toupper($1), $2 / 3, $2 }' fruit
awk 'BEGIN { while (i < 5) { s = s i++ ":" } print s, length(s), substr(s, 3, 4), index(s, "3") }'
grep -c apple fruit; grep -v apple fruit; grep -n '^f' fruit; grep -E '(fig|pear) 3' fruit; grep missing fruit; echo "grep gave $?"
tr 'a-z' 'A-Z' < fruit | tr -d '0-9 ' | tr -s 'P'
paste -d, fruit fruit | head -n 2; fold -w 4 fruit | head -n 4; rev fruit | head -n 1; tac fruit | head -n 2
expand fruit | wc; nl fruit; od -c fruit | head -n 2
printf '%s\n' b a c | tee copy | sort; cat copy
seq 1 5 | xargs -n 2 echo pair; seq 1 3 | xargs -I{} echo 'number {}'
diff fruit copy | head -n 3; cmp fruit fruit && echo same
expr 6 \* 7; expr length hello; basename /a/b/c.d .d; dirname /a/b/c; printf '%x %o %e %s\n' 255 8 12345.678 text
echo 'scale=5; 22/7; 2^64' | bc; echo 5 3 + p | dc
seq 1 100 | shuf | sort -n | md5sum
seq 1 1000 | tail -n +990 | head -n 2
base64 fruit | base64 -d | cmp - fruit && echo base64
hexdump -C fruit | tail -n 2; strings fruit | head -n 1; sha256sum fruit; crc32 fruit
