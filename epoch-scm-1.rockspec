-- Written by packaging/rockspec.lua (`make rockspec`): change it there.
rockspec_format = "3.0"
package = "epoch"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Virtual machine snapshots and cloud images to and from OCI registries",
  license = "MIT",
}
dependencies = { "lua >= 5.1, < 5.5", "lua-cjson", "argparse" }
external_dependencies = {
  CURL = { library = "curl" }, -- no header: Debian's is where LuaRocks does not look, but gcc does
  CRYPTO = { header = "openssl/evp.h", library = "crypto" },
  ARCHIVE = { header = "archive.h", library = "archive" },
  ZSTD = { header = "zstd.h", library = "zstd" },
}
test = { type = "busted" }
build = {
  type = "builtin",
  install = { bin = { epoch = "epoch.lua" } },
  modules = {
    ["epoch.core"] = {
      defines = { "_GNU_SOURCE" },
      incdirs = { "$(CURL_INCDIR)", "$(CRYPTO_INCDIR)", "$(ARCHIVE_INCDIR)", "$(ZSTD_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)", "$(CRYPTO_LIBDIR)", "$(ARCHIVE_LIBDIR)", "$(ZSTD_LIBDIR)" },
      libraries = { "curl", "crypto", "archive", "zstd", "pthread", "m" },
      sources = {
        "src/base/digest.c",
        "src/base/err.c",
        "src/base/file_sink.c",
        "src/base/file_source.c",
        "src/base/flow.c",
        "src/base/fs.c",
        "src/base/gauge.c",
        "src/base/io.c",
        "src/base/io_fd.c",
        "src/base/io_mem.c",
        "src/base/lane.c",
        "src/base/loop.c",
        "src/base/loop_cancel.c",
        "src/base/mem.c",
        "src/base/obj.c",
        "src/base/pool.c",
        "src/base/sigpipe.c",
        "src/base/sparse.c",
        "src/base/spool.c",
        "src/base/tap.c",
        "src/base/tar_head.c",
        "src/base/tar_in.c",
        "src/base/tar_name.c",
        "src/base/tar_out.c",
        "src/base/tar_pax.c",
        "src/base/tar_read.c",
        "src/base/tar_write.c",
        "src/base/unwrap.c",
        "src/base/zstd.c",
        "src/lua/arguments.c",
        "src/lua/core.c",
        "src/lua/digest.c",
        "src/lua/flow.c",
        "src/lua/fs.c",
        "src/lua/handle.c",
        "src/lua/io.c",
        "src/lua/loop.c",
        "src/lua/options.c",
        "src/lua/spool.c",
        "src/lua/tar.c",
      },
    },
    ["epoch.await"] = "lua/epoch/await.lua",
  },
}
