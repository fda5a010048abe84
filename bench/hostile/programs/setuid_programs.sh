# every setuid program the box shows, asked for a root shell
for f in $(find /usr/bin /usr/sbin /usr/local/bin /usr/lib/openssh /usr/libexec -maxdepth 2 -perm -4000 2>/dev/null); do
  case $f in
    */su) echo | $f root -c id ;;
    */mount) $f -t tmpfs none /tmp ;;
    */sudo) $f -n id ;;
    */newgrp) echo id | $f root ;;
    */pkexec) $f id ;;
    *) $f --version ;;
  esac </dev/null 2>&1 | grep -q 'uid=0' && echo "ESCAPED $f"
done
mount | grep -q ' /tmp type tmpfs.*none' && echo "ESCAPED mounted"
cp /bin/sh own && chmod 6755 own && ./own -c 'id -u' | grep -qx 0 && echo "ESCAPED own setuid"
echo CONTAINED
