--- The names on the wire: media types, artifact types, annotation keys, kinds.
local M = {}

M.OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
M.OCI_INDEX = "application/vnd.oci.image.index.v1+json"
M.OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
M.OCI_EMPTY = "application/vnd.oci.empty.v1+json"
M.DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
M.DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
M.DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
M.OCTET_STREAM = "application/octet-stream"

--- What a manifest is asked for as, the one that is written first.
M.MANIFESTS = { M.OCI_MANIFEST, M.OCI_INDEX, M.DOCKER_MANIFEST, M.DOCKER_LIST }

local OURS = "application/vnd.cocoonstack."

M.SNAPSHOT = OURS .. "snapshot.v1+json"
M.SNAPSHOT_CONFIG = OURS .. "snapshot.config.v1+json"
M.OS_IMAGE = OURS .. "os-image.v1+json"
M.WINDOWS_IMAGE = OURS .. "windows-image.v1+json" -- means the same, in older images

M.VM_CONFIG = OURS .. "vm.config+json"
M.VM_STATE = OURS .. "vm.state+json"
M.VM_MEMORY = OURS .. "vm.memory"
M.VM_CIDATA = OURS .. "vm.cidata"
M.DISK_QCOW2 = OURS .. "disk.qcow2"
M.DISK_RAW = OURS .. "disk.raw"

--- Annotation keys.
M.TITLE = "org.opencontainers.image.title"
M.CREATED = "org.opencontainers.image.created"
M.SOURCE = "org.opencontainers.image.source"
M.REVISION = "org.opencontainers.image.revision"
M.SNAPSHOT_ID = "cocoonstack.snapshot.id"
M.BASE_IMAGE = "cocoonstack.snapshot.baseimage"
M.MIGRATED = "cocoonstack.migrated.from" -- digest of the manifest of generation 1

---@alias epoch.kind "snapshot"|"cloud-image"|"container-image"|"image-index"|"unknown"
M.KINDS = { "snapshot", "cloud-image", "container-image", "image-index", "unknown" }

local BY_NAME = {
  ["config.json"] = M.VM_CONFIG,
  ["state.json"] = M.VM_STATE,
  ["memory-ranges"] = M.VM_MEMORY,
  ["cidata.img"] = M.VM_CIDATA,
}

--- The media type of a snapshot's layer, by the file's name.
---@param name string
---@return string
function M.for_file(name)
  return BY_NAME[name]
    or name:find("%.qcow2$") and M.DISK_QCOW2
    or name:find("%.raw$") and M.DISK_RAW
    or M.OCTET_STREAM
end

--- The media type of a disk of a cloud image, or of a part of one, by the file's name.
---@param name string
---@return string
function M.for_disk(name)
  local format = (name:find("%.raw$") or name:find("%.raw%.part%.")) and M.DISK_RAW or M.DISK_QCOW2
  return name:find("%.part%.") and format .. ".part" or format
end

local DISKS = {}
for _, family in ipairs { "disk.", "windows.disk." } do
  for _, format in ipairs { "qcow2", "raw" } do
    DISKS[OURS .. family .. format] = true
    DISKS[OURS .. family .. format .. ".part"] = true
  end
end

--- Is a layer of this type a disk of a cloud image, or a part of one?
---@param media_type string
---@return boolean
function M.is_disk(media_type)
  return DISKS[media_type] or false
end

local MANIFESTS = {}
for _, media_type in ipairs(M.MANIFESTS) do
  MANIFESTS[media_type] = true
end

--- Is what has this type a manifest?
---@param media_type string?
---@return boolean
function M.is_manifest(media_type)
  return MANIFESTS[media_type] or false
end

local INDEXES = { [M.OCI_INDEX] = true, [M.DOCKER_LIST] = true }

--- Is a manifest of this type a list of others?
---@param media_type string?
---@return boolean
function M.is_index(media_type)
  return INDEXES[media_type] or false
end

return M
