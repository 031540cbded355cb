#!/bin/sh
# usage: radosgw.sh DIR GATEWAY-PORT MON-PORT FIRST-PORT LAST-PORT ACCESS-KEY SECRET-KEY
# One monitor, one OSD that keeps everything in memory and one gateway, on loopback, all below
# DIR, by any user. Stays in the foreground; its process group is to be killed in the end.
# DIR/ready appears when the gateway has its user.
set -eu
dir=$1 gateway=$2 mon=$3 first=$4 last=$5 access=$6 secret=$7
export CEPH_CONF="$dir/ceph.conf"
fsid=$(cat /proc/sys/kernel/random/uuid)
umask 077
mkdir -p "$dir/run"

# tcp_nodelay: else every answer on a used connection takes 40 ms. The paxos intervals: else
# making the pools takes 10 s. cephx: the gateway does not start without it.
cat >"$CEPH_CONF" <<END
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$mon/0]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_port_min = $first
ms_bind_port_max = $last
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = $dir/keyring
run_dir = $dir/run
admin_socket = $dir/run/\$name.\$pid.asok
log_file = $dir/\$name.log
crash_dir = $dir
mon_cluster_log_file = $dir/cluster.log
mon_data = $dir/\$name
osd_data = $dir/\$name
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 4294967296
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$gateway tcp_nodelay=1
rgw_dns_name = localhost
rados_osd_op_timeout = 30
rados_mon_op_timeout = 30
END

key() { ceph-authtool "$dir/keyring" --gen-key "$@" >/dev/null; }
key --create-keyring -n mon. --cap mon 'allow *'
key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon]" "$dir/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring"
ceph-mon -f -i a &

mkdir "$dir/osd.0"
osd=$(cat /proc/sys/kernel/random/uuid)
timeout 30 ceph osd new "$osd" 0 >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$osd"
ceph-osd -f -i 0 &

radosgw -f -n client.rgw &
timeout 60 radosgw-admin -n client.rgw --admin-socket= user create --uid=spec --display-name=spec \
  --access-key="$access" --secret-key="$secret" >/dev/null
touch "$dir/ready"
wait
