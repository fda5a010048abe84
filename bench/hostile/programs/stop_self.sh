# a process that is stopped ends by nothing but the clock
echo CONTAINED
(kill -STOP 0) &
kill -STOP $$
