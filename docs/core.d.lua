---@meta epoch.core
-- What the C core offers, for readers and for LuaLS. spec/core/doc_spec.lua compares it with
-- what the module exports.
--
-- Calls that can fail answer `nil, message, code`; misuse raises. What cannot be answered at
-- once answers `nil, message, "again"`: `epoch.await` waits for it. Bytes go from a source to
-- a sink through a flow and never become Lua strings, unless they are asked for.

---@class epoch.core
local core = {}

---@alias epoch.digest string "sha256:<64 hex>" or "sha512:<128 hex>", in lower case
---@alias epoch.algorithm "sha256"|"sha512"

---------------------------------------------------------------- digests

--- The digest of a string.
---@param bytes string
---@param algorithm epoch.algorithm? sha256
---@return epoch.digest
function core.digest(bytes, algorithm) end

--- Algorithm and hexadecimal digits of a digest that is exactly as it should be; else nil.
---@param text string
---@return epoch.algorithm? algorithm
---@return string? hex
function core.parse_digest(text) end

---@param key string
---@param bytes string
---@param algorithm epoch.algorithm? sha256
---@return string raw bytes, fit to be the next key
function core.hmac(key, bytes, algorithm) end

--- Compares in a time that does not depend on where the strings differ.
---@param a string
---@param b string
---@return boolean
function core.equal(a, b) end

---@class epoch.hasher
local hasher = {}

---@param algorithm epoch.algorithm? sha256
---@return epoch.hasher
function core.hasher(algorithm) end

--- Goes on where another hasher, also one of another process, was put aside.
---@param state string from hasher:state()
---@return epoch.hasher?
function core.hasher_from(state) end

---@param bytes string
---@return epoch.hasher self
function hasher:update(bytes) end

--- Hashes a range of a file, and waits for the disk: how many bytes there were. A hasher that failed
--- has seen an unknown part of them.
---@param path string
---@param offset integer? 0
---@param length integer? up to the end
---@return integer?
function hasher:file(path, offset, length) end

--- Of what has been hashed so far; the hasher can go on.
---@return epoch.digest
function hasher:digest() end

---@return string
function hasher:state() end

function hasher:close() end

---------------------------------------------------------------- sources

---@class epoch.source
local source = {}

---@param bytes string
---@return epoch.source
function core.bytes(bytes) end

--- A regular file, or a range of it.
---@param path string
---@param options { offset: integer?, length: integer? }?
---@return epoch.source?
function core.file(path, options) end

--- A descriptor; with `own` it is closed with the source.
---@param fd integer
---@param own boolean?
---@return epoch.source?
function core.fd_source(fd, own) end

--- Takes gzip, zstd or xz off another source; anything else comes as it is.
---@param inner epoch.source
---@return epoch.source?
function core.unwrap(inner) end

--- A piece of at most `max` bytes, false at the end. For small things; flows move the rest.
---@param max integer
---@return string|false|nil
function source:read(max) end

--- Bytes from the first to the last, or nil when that is not known.
---@return integer?
function source:total() end

--- Back to the first byte.
---@return epoch.source? self
function source:rewind() end

--- A part of it, wherever it is being read, as a source of its own; "unsupported" for what comes
--- in its own order, such as pipes and answers.
---@param offset integer
---@param length integer
---@return epoch.source?
function source:slice(offset, length) end

--- Wakes the loop when reading again makes sense: what epoch.await does for you.
---@param loop epoch.loop
function source:arm(loop) end

function source:close() end

---------------------------------------------------------------- sinks

---@class epoch.sink
local sink = {}

--- A file that appears under its name when the sink is finished: whole, and on disk. Only a
--- regular file is replaced. Without a mode it is what the umask leaves of 0666.
---@param path string
---@param options { mode: integer?, replace: boolean?, sync: boolean? }? nil, true, true
---@return epoch.sink?
function core.create(path, options) end

---@param fd integer
---@param own boolean?
---@return epoch.sink?
function core.fd_sink(fd, own) end

--- Both ends of a pipe of this process.
---@return epoch.source?
---@return epoch.sink?
function core.pipe() end

--- Keeps at most `max` bytes, for sink:bytes(); one more fails with "too_large".
---@param max integer
---@return epoch.sink
function core.collect(max) end

--- Takes everything and keeps nothing.
---@return epoch.sink
function core.null() end

---@class epoch.promise what is known of bytes before they come
---@field size integer? exactly so many
---@field limit integer? at most so many
---@field digest epoch.digest?
---@field what string? their name in messages

--- Counts, hashes and verifies what passes on to `next` (nil: to nowhere), which is finished
--- only when all was as promised.
---@param next epoch.sink?
---@param options { size: integer?, limit: integer?, digest: epoch.digest?, what: string?, hash: boolean|epoch.algorithm|epoch.algorithm[]|nil }?
---@return epoch.sink
function core.tap(next, options) end

--- Compresses what passes into one zstd frame.
---@param next epoch.sink
---@param options { level: integer? }? 3
---@return epoch.sink
function core.zstd(next, options) end

--- Expands zstd frames.
---@param next epoch.sink
---@param options { limit: integer? }? at most so many bytes come out
---@return epoch.sink
function core.unzstd(next, options) end

--- Passes on all but the blocks that are all zeros, for files whose holes were filled; what it
--- leaves is at most so many `pieces`: the fewer there may still be, the larger a hole between two
--- has to be, and smaller ones are filled again.
---@param next epoch.sink
---@param options { block: integer?, pieces: integer? }? 4096, 65536
---@return epoch.sink
function core.dense(next, options) end

--- How many bytes were taken.
---@param bytes string
---@return integer?
function sink:write(bytes) end

--- Flushes and verifies; only now the result counts. Closing without it abandons everything.
---@return true?
function sink:finish() end

--- What a collector has.
---@return string
function sink:bytes() end

--- How many bytes have passed a tap.
---@return integer
function sink:seen() end

--- The digest of what has passed a tap.
---@param algorithm epoch.algorithm? sha256
---@return epoch.digest
function sink:digest(algorithm) end

--- What a dense sink has passed on, by where that stood, and how many bytes there were.
---@return { offset: integer, length: integer }[]
---@return integer size
function sink:extents() end

---@param loop epoch.loop
function sink:arm(loop) end

function sink:close() end

---------------------------------------------------------------- spools

---@class epoch.spool
local spool = {}

--- Bytes that are kept to be sent, as often as that takes: up to `memory` (64 KiB) in memory,
--- more in a nameless file in `dir` (/var/tmp).
---@param options { dir: string?, memory: integer?, limit: integer? }?
---@return epoch.spool
function core.spool(options) end

---@return epoch.sink
function spool:sink() end

---@param offset integer?
---@param length integer?
---@return epoch.source?
function spool:source(offset, length) end

---@return integer
function spool:size() end

---@return boolean
function spool:in_memory() end

function spool:close() end

---------------------------------------------------------------- relays

---@class epoch.relay
local relay = {}

--- One source made of several: when the one that is read breaks in the middle, the reader
--- waits for another one that goes on at that byte. Who holds the relay decides where that
--- one comes from.
---@param first epoch.source
---@param total integer? how many bytes there are altogether
---@return epoch.relay
function core.relay(first, total) end

--- What is read; to be asked for once.
---@return epoch.source
function relay:source() end

--- How many bytes came before it broke, and why; "again" while it is not broken, false when
--- nobody reads on.
---@return integer|false|nil at
---@return string? message
---@return string? code
function relay:broken() end

--- Goes on with another source after its first `skip` bytes.
---@param source epoch.source
---@param skip integer? 0
---@return true
function relay:feed(source, skip) end

--- Gives up: this is what the reader is told. A code that the core does not know stays the one
--- it broke with.
---@param message string
---@param code string
---@return true
function relay:fail(message, code) end

--- Lets go of it: from now on what breaks is the reader's failure.
function relay:close() end

---------------------------------------------------------------- files

--- Makes a directory and its parents; one that is there is fine.
---@param path string
---@param mode integer? 0777, less the umask
---@return true?
function core.mkdir(path, mode) end

---@param path string
---@return true?
function core.unlink(path) end

---@param from string
---@param to string
---@return true?
function core.rename(from, to) end

--- What was renamed or removed beside `path` is on disk when this returns.
---@param path string
---@return true?
function core.sync_parent(path) end

--- One more name of the same file; "exists" where the name is taken.
---@param from string
---@param to string
---@return true?
function core.link(from, to) end

---@param path string
---@param mode integer permission bits
---@return true?
function core.chmod(path, mode) end

--- What new files of this process do not get of their permissions, from now on; answers what it was.
---@param mode integer permission bits
---@return integer
function core.umask(mode) end

--- Waits until the data of a file is on disk.
---@param path string
---@return true?
function core.sync(path) end

--- Has that begin for a range of it (length 0: up to the end), and does not wait.
---@param path string
---@param offset integer
---@param length integer
---@return true?
function core.writeback(path, offset, length) end

--- Takes room on the disk for a range that will be written, where it can be had; the size stays.
---@param path string
---@param offset integer
---@param length integer
---@return true?
function core.reserve(path, offset, length) end

--- Takes away what a file has beyond `size`; "size_mismatch" where it has less.
---@param path string
---@param size integer
---@return true?
function core.truncate(path, size) end

--- Copies a file behind the end of another one, which is made when missing, and waits for it: how
--- many bytes. When it fails the other has its size again.
---@param from string
---@param to string
---@return integer?
function core.append(from, to) end

--- The names in a directory, without "." and "..", in no order; "too_large" for more than a
--- million. A symbolic link to a directory is followed.
---@param path string
---@return string[]?
function core.list(path) end

---@class epoch.stat
---@field type "file"|"directory"|"link"|"other"
---@field size integer
---@field mtime integer seconds since 1970
---@field mtime_ns integer nanoseconds beyond these
---@field mode integer permission bits
---@field id string the same for the same file, as long as that exists

--- What has this name. A symbolic link is not followed: its type is "link".
---@param path string
---@return epoch.stat?
function core.stat(path) end

---@class epoch.lock
local lock = {}

--- An advisory lock on a file, which is made when missing. Never waits: "busy" while another
--- has it.
---@param path string
---@param options { shared: boolean? }?
---@return epoch.lock?
function core.lock(path, options) end

function lock:close() end

--- Where a file has data; holes are left out.
---@param path string
---@return { offset: integer, length: integer }[]?
---@return integer? size
function core.extents(path) end

---------------------------------------------------------------- what others wrote

--- The bytes of a small file, at most `max` (1 MiB), that belongs to this user or to root
--- and that nobody else may write: "denied" when not. Links are followed.
---@param path string
---@param max integer
---@return string?
function core.read_trusted(path, max) end

--- pcall with bounds: on the instructions of `f` and what it calls (10 million), on the
--- growth of the Lua heap (32 MiB), and on the time (5 seconds), which is looked at between
--- instructions: a function of C that takes long is not interrupted. LuaJIT must not have
--- compiled what is to be counted: jit.off(f, true).
---@param limits { steps: integer?, bytes: integer?, seconds: number? }
---@param f function
---@param ... any its arguments
---@return boolean ok
---@return any ...
function core.bounded(limits, f, ...) end

---------------------------------------------------------------- loops and flows

---@class epoch.loop
local loop = {}

--- Everything that takes time happens in a loop, which belongs to one job. `threads`: how many
--- pool threads at most, by default one for each core; 0: none.
---@param options { threads: integer? }?
---@return epoch.loop?
function core.loop(options) end

--- Does what is ready, never waits.
---@return true?
function loop:step() end

--- Waits up to `seconds` (nil: no limit) and does what is ready. The only call that waits.
---@param seconds number?
---@return true?
function loop:poll(seconds) end

--- For who waits otherwise: until pollfd is readable or timeout seconds (nil: no limit) are
--- over, then step.
---@return integer
function loop:pollfd() end

---@return "r"
function loop:events() end

---@return number? seconds
function loop:timeout() end

--- Ends the waiting of whoever waits for this loop with code "cancelled", once.
---@param reason string?
function loop:cancel(reason) end

---@return string? reason
function loop:cancelled() end

--- An eventfd: eight bytes written to it cancel, also from a signal handler or a thread.
---@return integer?
function loop:cancel_fd() end

--- Cancels on these signals ("INT", "TERM", …) instead of what they would do. One that comes
--- more than half a second after the first does what it would do without a loop.
---@param ... string
---@return true?
function loop:signals(...) end

---@class epoch.timer
local timer = {}

---@param seconds number
---@return epoch.timer
function loop:timer(seconds) end

---@return true?
function timer:wait() end

function timer:close() end

---@class epoch.flow
local flow = {}

--- Moves bytes from `source` to `sink` (none: only hashes them). Uses both up, unless `more`
--- is to follow into the sink. The sink is finished when all was as promised, else abandoned.
---@param options { source: epoch.source, sink: epoch.sink?, size: integer?, limit: integer?, digest: epoch.digest?, what: string?, hash: boolean|epoch.algorithm|epoch.algorithm[]|nil, more: boolean? }
---@return epoch.flow?
function loop:flow(options) end

---@return { size: integer, digest: epoch.digest?, digests: table<epoch.algorithm, epoch.digest> }?
function flow:result() end

--- Bytes so far.
---@return integer
function flow:moved() end

function flow:close() end

function loop:close() end

---------------------------------------------------------------- tar

---@class epoch.tar_reader
local tar_reader = {}

---@class epoch.tar_entry
---@field name string
---@field mode integer
---@field size integer
---@field mtime integer
---@field pax string[][] other records, {key, value} each, in order
---@field sparse { map: string, size: integer }? with a `sparse` prefix

--- Reads a flat archive; `sparse` is the prefix of the vendor records for files with holes.
---@param source epoch.source
---@param options { sparse: string? }?
---@return epoch.tar_reader
function core.tar_reader(source, options) end

--- The next entry, false after the last one.
---@return epoch.tar_entry|false|nil
function tar_reader:next() end

--- The data of the entry, once.
---@return epoch.source
function tar_reader:body() end

--- Drops what was not read of the entry's data.
---@return true?
function tar_reader:skip() end

---@return integer bytes of the archive so far
function tar_reader:offset() end

---@param loop epoch.loop
function tar_reader:arm(loop) end

function tar_reader:close() end

---@class epoch.tar_writer
local tar_writer = {}

---@param sink epoch.sink
---@param options { sparse: string? }?
---@return epoch.tar_writer
function core.tar_writer(sink, options) end

--- A sink for exactly `size` bytes, to be finished before the next entry.
---@param entry { name: string, size: integer, mode: integer?, mtime: integer?, pax: string[][]? }
---@return epoch.sink?
function tar_writer:entry(entry) end

--- The header of the entry that comes next and how many zeros pad its data, for who sends the
--- bytes of an archive another way: the sink is told nothing.
---@param entry { name: string, size: integer, mode: integer?, mtime: integer?, pax: string[][]? }
---@return string? header
---@return integer padding
function tar_writer:head(entry) end

--- Ends the archive well.
---@return true?
function tar_writer:finish() end

--- Gives up: the bytes to send before the stream is closed, so that nobody takes its end for
--- a good one.
---@return string?
function tar_writer:poison() end

---@param loop epoch.loop
function tar_writer:arm(loop) end

function tar_writer:close() end

--- Is this map of data pieces right for an entry of `stored` bytes and a file of `logical`?
---@param map string
---@param stored integer
---@param logical integer
---@return true?
function core.sparse_check(map, stored, logical) end

---------------------------------------------------------------- processes

---@class epoch.process
local process = {}

---@class epoch.process.options
---@field argv string[] the first one an absolute path: see core.which
---@field env string[]|table<string, string>|nil all of it; the caller's by default
---@field cwd string?
---@field stdin "null"|"pipe"|"inherit"|nil null
---@field stdout "null"|"pipe"|"inherit"|nil
---@field stderr integer|false|"inherit"|"null"|nil passed on to a descriptor (nil: our own) or to none (false), its
--- tail kept; "inherit" and "null" are what the child has itself, and keep none
---@field grace number? seconds until what a child has left behind is killed

---@param options epoch.process.options
---@return epoch.process?
function loop:spawn(options) end

--- Once. Finishing it gives the child its end of input; closing it does not.
---@return epoch.sink
function process:stdin() end

--- Once.
---@return epoch.source
function process:stdout() end

---@return integer
function process:pid() end

---@return { code: integer?, signal: string?, number: integer?, stderr: string }?
function process:wait() end

--- Sends a signal to the child's process group.
---@param signal string "TERM", …
---@return true?
function process:kill(signal) end

--- Ends the child so that it cannot take the end of its input for a good one: SIGTERM, then
--- `tail` and the end of input, or with `hold` neither; SIGKILL after `grace` seconds. Answers
--- as wait does.
---@param options { tail: string?, hold: boolean?, grace: number? }?
---@return { code: integer?, signal: string?, number: integer?, stderr: string }?
function process:stop(options) end

function process:close() end

--- The absolute path of a program, from PATH or the one given; never from ".".
---@param name string
---@param path string?
---@return string?
function core.which(name, path) end

---@return string[] "NAME=VALUE"
function core.environ() end

---------------------------------------------------------------- HTTP

---@class epoch.request
local request = {}

---@class epoch.request.options
---@field url string
---@field method string? GET
---@field headers table<string, string>|string[][]|nil
---@field authorization string? the credential: sent to the URL's own origin only
---@field body epoch.source|string|nil
---@field ca_file string? PEM, trusted beside the system's
---@field client_cert string?
---@field client_key string?
---@field proxy string? by default from the environment; "": none
---@field redirects integer? how many to follow: 5 for GET and HEAD, else 0
---@field connect_timeout number? 15 seconds
---@field header_timeout number? 60 seconds
---@field low_speed_limit integer? 1024 bytes a second,
---@field low_speed_time number? over 60 seconds
---@field http_version "1.1"|"2"|nil
---@field user_agent string?
---@field any_encoding boolean? take a body with a Content-Encoding as it comes

---@param options epoch.request.options
---@return epoch.request?
function loop:request(options) end

---@return { status: integer, headers: string[][], url: string, http_version: string, redirects: integer }?
function request:response() end

--- The first header of that name (in lower case), or nil.
---@param name string
---@return string?
function request:header(name) end

--- The answer's body, once.
---@return epoch.source?
function request:body() end

---@return integer bytes of the body sent so far
function request:sent() end

---@return integer bytes of the answer's body so far
function request:received() end

function request:close() end

--- A reference as seen from a base URL, absolute.
---@param base string
---@param reference string
---@return string?
function core.resolve(base, reference) end

--- "scheme://host:port", in lower case and with the port filled in.
---@param url string
---@return string?
function core.origin(url) end

---------------------------------------------------------------- about the core

--- How many objects of each kind are alive in this Lua state.
---@return table<string, integer>
function core.live() end

--- Versions of the libraries below.
---@return { curl: string, openssl: string, libarchive: string, zstd: string }
function core.versions() end

--- Columns and rows of the terminal behind a descriptor, as they are now: 0 where it does not
--- say. Nil: it is no terminal.
---@param fd integer
---@return integer? columns
---@return integer? rows
function core.terminal(fd) end

--- What a person types at the terminal that this process belongs to, a line for each read.
--- With `hidden` nobody sees it until the source is closed. "not_found" where there is no
--- terminal.
---@param options { hidden: boolean? }?
---@return epoch.source?
function core.typed(options) end

--- Makes the calling thread, and those it starts from now on, give way to others of this process and
--- of the system: its niceness is `n` at least. It never gets less nice.
---@param n integer 0 to 19
---@return true?
function core.nice(n) end

--- Seconds of a clock that only moves forward.
---@return number
function core.now() end

return core
