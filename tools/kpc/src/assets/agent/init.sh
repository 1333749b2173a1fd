#!/bin/sh
# Process 1 of the system that installs machines: drivers for what is here, an address, then the agent.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /run /tmp /root /etc/systemd/system /var/lib
echo /bin/modprobe > /proc/sys/kernel/modprobe
# modprobe offers the kernel a packed driver first, which says so, and unpacks it then.
level=$(cut -f1 /proc/sys/kernel/printk)
echo 1 > /proc/sys/kernel/printk
# A bus shows its devices once its own driver is there: cards behind bridges, disks behind controllers.
for round in 1 2 3; do
    find /sys/devices -name modalias -exec cat {} + 2>/dev/null | sort -u | xargs modprobe -a -q 2>/dev/null
    usleep 200000
done
for module in efivarfs ipmi_si sd_mod; do modprobe -q $module 2>/dev/null; done
echo "$level" > /proc/sys/kernel/printk

ip link set lo up
cards() { ls /sys/class/net | grep -v '^lo$'; }
for card in $(cards); do ip link set "$card" up 2>/dev/null; done
# The card that the machine booted from is asked first, where the loader has said which (BOOTIF=01-52-54-…).
booted=$(sed -n 's/.*BOOTIF=01-\([0-9a-fA-F-]*\).*/\1/p' /proc/cmdline | tr 'A-F-' 'a-f:')
ready() {
    for card in $(cards); do
        [ "$(cat "/sys/class/net/$card/carrier" 2>/dev/null)" = 1 ] || continue
        if [ "$(cat "/sys/class/net/$card/address")" = "$booted" ]; then echo "0 $card"; else echo "1 $card"; fi
    done | sort | cut -d' ' -f2
}
tries=0
until [ -e /run/lease ]; do
    tries=$((tries + 1))
    for card in $(ready); do
        udhcpc -i "$card" -s /bin/lease -n -q -t 4 -T 1 -A 1 >/dev/null 2>&1 && break
    done
    [ -e /run/lease ] && break
    [ $((tries % 50)) = 0 ] && echo "kpc: no lease yet; cards:" $(cards) "with a link:" $(ready)
    usleep 100000
done
echo "kpc: up $(cut -d' ' -f1 /proc/uptime) s, lease $(cat /run/lease)"
kpc-agent || echo "kpc-agent: ended with $?"
while true; do sleep 3600; done
