#!/bin/sh
# usage: radosgw.sh DIR ACCESS-KEY SECRET-KEY STORE OSDS FIRST-PORT LAST-PORT MON-PORTS GATEWAY-PORTS
# As many monitors and gateways as ports are given ("N N …"), on loopback, all below DIR, by any
# user. STORE is memstore, or bluestore, whose bytes outlive an OSD. Stays in the foreground; its
# process group is to be killed in the end. DIR/ready appears when the gateways have their user.
#
# The daemons are mon.N, osd.N and client.rgw.N, from 0. DIR/run/NAME.id has the process id of one
# that runs; one that has ended is started again when DIR/run/NAME.again appears.
set -eu
dir=$1 access=$2 secret=$3 store=$4 osds=$5 first=$6 last=$7 mons=$8 gateways=$9
export CEPH_CONF="$dir/ceph.conf"
fsid=$(cat /proc/sys/kernel/random/uuid)
umask 077
mkdir -p "$dir/run"

# numbered FORMAT SEPARATOR PORT…: FORMAT for each with its number, from 0, and itself.
numbered() {
  format=$1 between='' after=$2 n=0
  shift 2
  for port; do
    printf "%s$format" "$between" $n "$port"
    n=$((n + 1)) between=$after
  done
}

# Runs a daemon, and again when that is wanted.
daemon() {
  name=$1
  shift
  while :; do
    "$@" &
    echo $! >"$dir/run/$name.new" && mv "$dir/run/$name.new" "$dir/run/$name.id"
    wait $! || true
    rm -f "$dir/run/$name.id"
    until [ -e "$dir/run/$name.again" ]; do sleep 0.1; done
    rm "$dir/run/$name.again"
  done
}

size=$((osds < 3 ? osds : 3))
# tcp_nodelay: else every answer on a used connection takes 40 ms. The paxos intervals: else
# making the pools takes 10 s. cephx: the gateway does not start without it. The heartbeats:
# else an OSD that was killed holds everybody up for 20 s.
cat >"$CEPH_CONF" <<END
[global]
fsid = $fsid
mon_host = $(numbered '[v2:127.0.0.1:%.0s%d/0]' , $mons)
mon_initial_members = $(numbered '%d%.0s' , $mons)
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
mon_osd_min_down_reporters = 1
mon_osd_down_out_interval = 3600
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_pool_default_size = $size
osd_pool_default_min_size = $(((size + 1) / 2))
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_heartbeat_interval = 1
osd_heartbeat_grace = 5
osd_objectstore = $store
osd_memory_target = 939524096
memstore_device_bytes = 4294967296
bluestore_block_size = 4294967296
bdev_enable_discard = false
[client]
rgw_dns_name = localhost
rados_osd_op_timeout = 30
rados_mon_op_timeout = 30
$(numbered '[client.rgw.%d]\nrgw_frontends = beast endpoint=127.0.0.1:%d tcp_nodelay=1\n' '' $gateways)
END

key() { ceph-authtool "$dir/keyring" --gen-key "$@" >/dev/null; }
key --create-keyring -n mon. --cap mon 'allow *'
key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
for n in $(numbered %d%.0s ' ' $gateways); do
  key -n "client.rgw.$n" --cap mon 'allow rw' --cap osd 'allow rwx'
done
for n in $(seq 0 $((osds - 1))); do
  key -n "osd.$n" --cap mon 'allow profile osd' --cap osd 'allow *'
done
monmaptool --create --fsid "$fsid" $(numbered '--addv %d [v2:127.0.0.1:%d]' ' ' $mons) "$dir/monmap" >/dev/null
for n in $(numbered %d%.0s ' ' $mons); do
  ceph-mon --mkfs -i "$n" --monmap "$dir/monmap" --keyring "$dir/keyring"
  daemon "mon.$n" ceph-mon -f -i "$n" &
done

for n in $(seq 0 $((osds - 1))); do
  mkdir "$dir/osd.$n"
  osd=$(cat /proc/sys/kernel/random/uuid)
  timeout 30 ceph osd new "$osd" "$n" >/dev/null
  { ceph-osd -i "$n" --mkfs --osd-uuid "$osd" && daemon "osd.$n" ceph-osd -f -i "$n"; } &
done

for n in $(numbered %d%.0s ' ' $gateways); do
  daemon "client.rgw.$n" radosgw -f -n "client.rgw.$n" &
done
timeout 60 radosgw-admin -n client.rgw.0 --admin-socket= user create --uid=spec --display-name=spec \
  --access-key="$access" --secret-key="$secret" >/dev/null
touch "$dir/ready"
wait
