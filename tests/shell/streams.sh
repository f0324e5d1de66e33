# Text through sed, awk, tr, cut, sort, uniq, join, paste, comm, fold, and back.
words='the quick brown fox jumps over the lazy dog and the cat'
echo $words | tr ' ' '\n' | sort | uniq -c | sort -k1,1nr -k2
seq 1 200 | sed -n '/7$/{s/^/seven: /;p}; 100q' | head -n 5
printf 'a b\nc d\n' | sed -e 's/\(.\) \(.\)/\2 \1/' -e 's/$/!/' -e '1i\
before' -e '$a\
after' -e 'y/abc/ABC/'
seq 10 | sed '2,4d;6!s/^/x/;8,$c\
changed'; seq 6 | sed -n '1!G;h;$p'; seq 5 | sed '$!N;s/\n/+/;P;D'; echo aaa | sed 's/a/b/2;s/a/c/g'
printf 'one\n\ntwo\n' | nl; printf 'x\ty\n' | cat -A; printf 'a\nb\n' | cat -n
awk 'BEGIN { FS = "," } { sum[$1] += $2; n[$1]++ } END { for (k in sum) print k, sum[k], sum[k] / n[k] }' <<END | sort
a,1
b,2
a,3
c,10
b,20
END
seq 20 | awk 'NR % 2 { odd = odd " " $1; next } { even += $1 } END { print odd; print even, NR; print substr("hello", 2, 3), index("hello", "l"), length("hello"), toupper("x") }'
echo 'k1=v1;k2=v2' | awk -F'[=;]' '{ for (i = 1; i <= NF; i++) printf "%s|", $i; print "" ; n = split($0, p, ";"); print n, p[2]; gsub(/k/, "K"); print; print match($0, /v[0-9]/), RSTART, RLENGTH }'
awk 'function f(n) { return n <= 1 ? 1 : n * f(n - 1) } BEGIN { print f(10); while ((getline line < "/dev/null") > 0) n++; print n + 0; printf "%s %5.2f|%-6s|\n", "s", 3.14159, "ab"; exit 4 }'; echo "awk gave $?"
printf '3 c\n1 a\n2 b\n10 j\n' > t; sort t; sort -n t; sort -k2 t; sort -rn t; sort -u t t | wc -l; sort -c t 2>/dev/null; echo "check gave $?"; sort -t' ' -k1,1n -o t t; cat t
printf 'B\na\nC\n' | sort -f; printf 'f1\nf10\nf2\n' | sort -V
cut -d: -f1,3 <<END; cut -c2-4 <<END2
root:x:0:0
user:y:1000:100
END
abcdef
END2
seq 3 > p; paste p p; paste -s -d, p; paste -d'\n' p p | head -n 4
seq 5 > c1; seq 3 7 > c2
echo 'a long line that must be folded somewhere' | fold -w 10; echo 'fold at words please' | fold -s -w 8; echo abc | rev; seq 4 | tac
printf 'a\tb\n' | expand; printf 'a       b\n' | unexpand -a | od -c | head -n 2; echo 'Hello World' | tr 'a-zA-Z' 'n-za-mN-ZA-M'; echo aabbcc | tr -s ab; echo a1b2 | tr -cd 0-9; echo
printf 'x\ny\nx\n' | uniq; printf 'x\nx\ny\n' | uniq -d; printf 'x\nx\ny\n' | uniq -u; printf 'A\na\n' | uniq -ic
head -n 2 t; tail -n 2 t; tail -n +3 t; head -c 5 t; echo; tail -c 3 t; head -n -2 t; wc t; wc -l -w -c t
grep -n b t; grep -c . t; grep -v b t | head -n 1; grep -E '^(1|2) ' t; grep -F '10 j' t; grep -q zzz t; echo "grep gave $?"; grep -o '[a-z]' t | tr -d '\n'; echo; grep -i -l A t; grep -w 1 t; grep -A1 -B1 '2 b' t
seq 100000 | md5sum; seq 100000 | sort -rn | sha256sum; seq 100000 | sort | sort -n | sha1sum; seq 30000 | shuf -n 0 | wc -l
echo text | base64; echo dGV4dAo= | base64 -d; echo text | od -An -tx1; echo text | hexdump -C; echo text | xxd; echo text | uuencode name; echo text | crc32
strings -n 4 <<END
ab
abcdef
END
diff c1 c2; echo "diff gave $?"; diff -u c1 c1 && echo same; printf -- '--- a\n+++ b\n@@ -1,2 +1,2 @@\n-1\n+one\n 2\n' | patch c1; head -n 2 c1; cmp c1 c2; echo "cmp gave $?"; ed -s c2 2>/dev/null <<END
1s/3/three/
w
q
END
head -n 1 c2; echo 'a b c' | xargs -n 1 echo item; seq 5 | xargs; printf 'a b\0c\0' | xargs -0 -n 1 echo; echo x | xargs -I{} echo '{}-{}'
