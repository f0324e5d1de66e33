# Integer arithmetic in every place where the shell has it, and the calculators.
echo $((1 + 2 * 3 - 4 / 2 % 3)) $(((1 + 2) * 3)) $((2 ** 10)) $((1 << 62)) $((-17 / 5)) $((-17 % 5))
echo $((0x7fffffffffffffff)) $((0x7fffffffffffffff + 1)) $((010)) $((5 & 3)) $((5 | 3)) $((5 ^ 3)) $((~5)) $((!5)) $((!0))
a=5; echo $((a++)) $a $((++a)) $a $((a--)) $((--a)) $((a += 10)) $((a *= 2)) $((a <<= 1)) $((a %= 7))
echo $((1 ? 2 : 3)) $((0 ? 2 : 3)) $((1 && 0)) $((1 || 0)) $((3 < 4)) $((4 <= 3)) $((3 == 3)) $((3 != 3)) $((1, 2, 3))
b=a; echo $((b + 1)) $((unset_name + 1))
fib() { if [ $1 -lt 2 ]; then echo $1; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }
fib 11
prime() { n=$1; i=2; while [ $((i * i)) -le $n ]; do [ $((n % i)) -eq 0 ] && return 1; i=$((i + 1)); done; }
n=2; while [ $n -lt 60 ]; do prime $n && printf '%d ' $n; n=$((n + 1)); done; echo
expr 7 + 3 \* 2; expr \( 7 + 3 \) \* 2; expr abcdef : 'abc\(.*\)'; expr length hello; expr substr hello 2 3; expr 5 \> 3; expr 1 = 2
echo '2 3 + 4 * p' | dc; echo 'scale=20; 4*a(1)' | bc -l; echo '2^200' | bc; echo 'for (i = 1; i < 20; i++) i*i' | bc | tail -n 3
awk 'BEGIN { printf "%.10f %d %e %g\n", 22 / 7, 7.9, 12345.678, 1e100; print int(-3.7), 10 % 3, 1e3, 0.1 + 0.2, 1 / 3, 100000 * 100000 }'
seq 5; seq 2 3 11; seq 10 -3 1; seq -w 8 11; seq -s , 5
printf '%d %x %o %5d|%-5d|%05d %c %s %b\n' 42 255 8 42 42 42 A text 'tab\there'
factor 360 97 1001
echo $((1 / 0)); echo "not reached"
