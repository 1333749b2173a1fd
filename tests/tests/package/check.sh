# Inside the virtual machine: what a person does with the package, step by step, told on the serial console.
exec >/dev/ttyS0 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C

end() {
    echo "kpc-check: done"
    systemctl poweroff --force --force
    sleep 60
}
ok() { echo "kpc-check: ok $*"; }
# Says what failed, with what is known of it, and ends.
fail() {
    echo "kpc-check: FAILED $*"
    systemctl --no-pager --full status kpc.socket kpc.service kpc-bmc.socket kpc-bmc.service
    journalctl --no-pager -n 60 -u kpc.service -u kpc-bmc.service
    end
}
# Every path, and what is in the files of /etc; without what the system itself keeps while it runs.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root \
        -o -path /var/log -o -path /var/tmp -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \
        -o -path /var/lib/systemd/timers -o -path /var/lib/systemd/timesync \) -prune -o -print | sort
    find /etc -xdev -type f ! -name '*-' -exec sha256sum {} + | sort -k 2
}
# Whether what a Perl expression means is in a process's memory, whichever part may be read.
holds() {
    while read -r range flags _; do
        case $flags in r*) ;; *) continue ;; esac
        from=$((0x${range%-*})) to=$((0x${range#*-}))
        dd if="/proc/$1/mem" bs=4096 skip=$((from / 4096)) count=$(((to - from) / 4096)) 2>/dev/null |
            grep -q -a -P -e "$2" && return 0
    done <"/proc/$1/maps"
    return 1
}

echo "kpc-check: up $(cut -d ' ' -f 1 /proc/uptime) s"
systemd-sysusers 2>/dev/null
files >/run/before

apt-get install -y -qq --no-install-recommends /root/kpc.deb || fail "apt-get install"
for unit in kpc.socket kpc-bmc.socket kpc.service; do
    systemctl is-enabled --quiet $unit || fail "$unit is not enabled"
done
ok "installed $(dpkg-query -W -f '${Version}' kpc)"
systemctl is-active --quiet kpc.socket && fail "kpc.socket listens before there is a configuration"
systemctl is-failed --quiet kpc.socket && fail "kpc.socket failed"
ok "waits for its configuration"

insmod /root/veth.ko* || fail "veth"
ip netns add wire
ip link add eth0 type veth peer name wire0
ip link set wire0 netns wire
ip addr add 10.79.0.1/24 dev eth0
ip link set eth0 up
ip -n wire addr add 10.79.0.2/24 dev wire0
ip -n wire link set wire0 up
ip -n wire link set lo up
ip netns exec wire dnsmasq --conf-file=/dev/null --port=0 --interface=wire0 --bind-interfaces \
    --dhcp-range=10.79.0.50,10.79.0.90,1h --dhcp-leasefile=/dev/null --user=root --no-ping || fail "dnsmasq"

kpc init --interface eth0 --no-ssh-key --agent /root/agent --listen 3s --no-start --yes || fail "kpc init"
systemctl start kpc.socket kpc-bmc.socket || fail "sockets"
systemctl is-active --quiet kpc.service && fail "kpc.service runs before anybody asked"
systemctl is-active --quiet kpc-bmc.service && fail "kpc-bmc.service runs before anybody asked"
ok "not started before it is asked"
page=$(curl --silent --show-error --max-time 120 --cacert /var/lib/kpc/tls/ca.pem https://127.0.0.1:8443/)
case $page in *token*) ;; *) fail "the page: $page" ;; esac
systemctl is-active --quiet kpc.service || fail "kpc.service"
ok "started by the page's port"
kpc doctor || fail "kpc doctor"
ok "doctor"

systemctl stop kpc.service
kpc status || fail "kpc status"
systemctl is-active --quiet kpc.service || fail "kpc.service is not started again"
ok "started by the operators' socket"

server=$(systemctl show -P MainPID kpc.service)
grep -q "^Uid:.$(id -u kpc)" "/proc/$server/status" || fail "the server is not kpc's: $(grep Uid: /proc/$server/status)"
grep -q "^CapEff:.0000000000000000" "/proc/$server/status" || fail "the server has capabilities"

# A virtual BMC, found and kept.
password=pUr9-Wombat_77x
echo "$password" >/root/bmc-password
printf 'user = "admin"\npassword = "%s"\n' "$password" >/root/logins.toml
chmod 600 /root/bmc-password /root/logins.toml
printf '#!/bin/sh\n[ "$1" = status ] && echo off\nexit 0\n' >/run/machine
chmod 755 /run/machine
systemd-run --quiet --unit virtual-bmc /root/ipmi bmcd --listen 127.0.0.1:623 --user admin \
    --password-file /root/bmc-password --command /run/machine || fail "the virtual BMC"
for _ in $(seq 60); do
    kpc bmc scan 127.0.0.1 --credentials /root/logins.toml --save >/run/scan && break
    sleep 1
done
cat /run/scan
grep -q "1 reachable" /run/scan || fail "kpc bmc scan"
[ "$(stat -c '%U %a' /var/lib/kpc-bmc/logins.toml)" = "kpc-bmc 600" ] || fail "$(stat /var/lib/kpc-bmc/logins.toml)"
grep -rqs -F "$password" /var/lib/kpc /etc/kpc && fail "the server's files hold the password"
ok "logins are the keeper's"
kpc power status kpc-01 || fail "kpc power status"
ok "power by the keeper"
keeper=$(systemctl show -P MainPID kpc-bmc.service)
# Before anybody looks into their memory: whoever reads a page of a program makes it resident.
for process in $server $keeper; do
    size=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$process/status")
    [ "$size" -le 20480 ] || fail "$size KiB resident"
    sizes="$sizes $size"
done
ok "resident$sizes KiB (server, keeper)"

holds "$keeper" "$password" || fail "the look into memory finds nothing where it must"
holds "$server" "$password" && fail "the server holds the password"
journalctl --no-pager -u kpc.service -u kpc-bmc.service | grep -q -F "$password" && fail "the log holds the password"
ok "no password where the boot network is parsed"
# The private number in the key, as text in the file and as octets (RFC 5915 §3 in RFC 5208 §5).
key=/var/lib/kpc/tls/ca.key
secret=$(sed -n 2p $key | sed 's/[+]/\\+/g')
holds "$server" "$secret" && fail "the server holds the authority's key"
secret=$(sed '1d;$d' $key | tr -d '\n' | base64 -d | tail -c +37 | head -c 16 | od -A n -t x1 | sed 's/ /\\x/g')
holds "$server" "$secret" && fail "the server holds the authority's key"
# Another file, of no octet, lies over it: root, who is asking here, may open that one.
[ -s $key ] || fail "there is no authority's key"
seen=$(nsenter --target "$server" --mount cat $key 2>/dev/null)
[ -z "$seen" ] || fail "the authority's key can be opened"
nsenter --target "$server" --mount ls /var/lib/kpc-bmc/logins.toml >/dev/null 2>&1 && fail "the logins can be opened"
ok "no authority's key where the boot network is parsed"

systemctl stop virtual-bmc
apt-get purge -y -qq kpc || fail "apt-get purge"
ok "purged"
files >/run/after
diff /run/before /run/after || fail "these differ after the purge"
[ -z "$(ls -d /run/kpc* 2>/dev/null)" ] || fail "$(ls -d /run/kpc*)"
ok "no file is left"
end
