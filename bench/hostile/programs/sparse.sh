# a file of a terabyte that holds nothing
mkdir out
echo CONTAINED
truncate -s 1T out/hole
[ "$(stat -c %s out/hole)" -gt 1000000000000 ] && echo "ESCAPED a terabyte"
echo plain > out/plain
exit 1
