# burns cpu in children, each too short to be seen by a limit per process
echo CONTAINED
while :; do (i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done); done
