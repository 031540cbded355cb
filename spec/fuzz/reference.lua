-- What holds for every reference: parsing never raises; each part passes its validator;
-- written down and parsed again it is the same.
local errors = require "epoch.errors"
local reference = require "epoch.reference"

return function(input)
  local ref, err = reference.parse(input)
  if not ref then
    assert(errors.is(err) and err.kind == "invalid" and not tostring(err):find("%c"), "the error")
    for _, check in ipairs { reference.check_name, reference.check_tag, reference.check_digest,
                             reference.check_host } do
      local ok, why = check(input)
      assert(ok or errors.is(why), "a validator")
    end
    return
  end
  assert(not input:find("[^\33-\126]"), "a byte that must not get through")
  assert(reference.check_name(ref.name))
  assert(not ref.host or reference.check_host(ref.host) and ref.host == ref.host:lower(), "host")
  assert(not ref.tag or reference.check_tag(ref.tag))
  assert(not ref.digest or reference.check_digest(ref.digest))
  assert(ref.tag or ref.digest, "neither tag nor digest")
  assert(reference.parse(reference.format(ref)) == ref, "another reference")
end
