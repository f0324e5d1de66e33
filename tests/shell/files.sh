# Making, moving, linking, finding and removing files; permissions, times, types.
umask 022
mkdir -p a/b/c d; touch a/f a/b/g d/h; find . | sort; mkdir a 2>&1; echo "mkdir gave $?"; mkdir x/y/z 2>&1; echo "mkdir gave $?"
echo data > src; cp src copy; cmp src copy && echo equal; cp src d; cp -r a a2; diff -r a a2 && echo "same tree"; cp a other 2>&1; echo "cp gave $?"
mv copy moved; mv moved d/; ls d; mv d/moved d/h .; mv nothing here 2>&1; echo "mv gave $?"; ls
ln src hard; ln -s src soft; ln -s nowhere dangling; readlink soft; cat soft; ls dangling; cat dangling 2>&1; [ -L soft ] && echo link; [ -e dangling ] || echo dangling
echo changed > hard; cat src soft; stat -c '%h %F %a %s' src hard soft d | sed 's/ [0-9]*$//'; [ src -ef hard ] && echo "one file"
rm src; cat hard; cat soft 2>&1; rm soft dangling; rm nothing 2>&1; echo "rm gave $?"; rm -f nothing; echo "rm -f gave $?"; rm d 2>&1; rmdir a 2>&1; rm -r a2; rmdir d 2>&1; ls
chmod 640 hard; stat -c %a hard; chmod u+x,g-r,o=w hard; stat -c '%a %A' hard; chmod a+X hard; stat -c %a hard; chmod 7777 hard; stat -c '%a %A' hard; umask 077; touch private; stat -c %a private; mkdir pd; stat -c %a pd; umask; umask -S; umask 022
touch -d '2001-02-03 04:05:06' old; stat -c '%y %Y' old; date -r old +%F; touch -r old same; stat -c %Y same; [ hard -nt old ] && echo newer; [ old -ot hard ] && echo older; ls -l old | sed 's/ *[^ ]* *[^ ]* *[^ ]* *\([^ ]*\) /\1 /'
test -f hard && test -d a && test ! -d hard && test -r hard -a -s hard && echo tests; test -x private; echo "x gave $?"; [ -p hard ]; echo $?; mkfifo fifo; [ -p fifo ] && echo fifo; [ -c /dev/null ] && echo device
for n in $(seq 1 30); do echo $n > a/n$n.txt; done; find a -name 'n1*.txt' | sort | tr '\n' ' '; echo; find a -type f | wc -l; find a -type d | sort; find . -maxdepth 1 -type f | sort; find a -name '*.txt' -exec cat {} + | sort -n | tail -n 1
find a -name 'n2?.txt' -delete; find a -type f | wc -l; find . -empty -type f | sort; find . -newer old -name 'n3*' | sort; find a -size -2 -name n5.txt; find . -perm 600; find a -path '*b*' | sort; find . -name a -prune -o -type f -print | sort; find a -mindepth 2 | sort; find a -not -name 'n*' | sort; find none 2>&1; echo "find gave $?"
find a -name 'n[1-5].txt' | sort | xargs md5sum; find a -name 'n[12].txt' -exec echo found {} \; | sort
pwd | sed 's/.*\///' | wc -l; cd a/b; cd ../..; cd - > /dev/null; cd ../..; basename /x/y/z.txt .txt; dirname /x/y/z; realpath a/../a/b | sed 's/.*\/a/a/'; cd nothing 2>&1; echo "cd gave $?"; cd a && ls | head -n 2; cd ..
mktemp -d tmp.XXXXXX | wc -c; rm -r tmp.*; echo x > 'name with spaces'; cat name\ with\ spaces; echo y > ./-dash; cat ./-dash; rm -- -dash; ls -1; ls -a | head -n 3; ls -d a; ls -F | head -n 3; ls -R a | tail -n 3; ls nothing; echo "ls gave $?"; ls -1 -r | head -n 2
mkdir -p deep/$(seq -s / 1 60); find deep | wc -l; rm -r deep; [ -e deep ] || echo "removed deep"
yes | head -c 5000000 > big; cp big big2; cmp big big2 && echo "big equal"; truncate -s 1234567 big; wc -c < big; md5sum big; rm big big2; sync; ls | wc -l
