# just under what anybody would notice at a time, without end
echo CONTAINED
while :; do head -c 20000 /dev/zero; done
