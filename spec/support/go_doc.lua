--- What a Go package exports, read from a page of its documentation as plain text.

local M = {}

--- A page's package, and the names on it in the order of the page: "Stream", "Pusher.Push" for a
-- method, "PushOptions.Name" for a field.
---@param page string
---@return string package
---@return string[] names
function M.names(page)
  local names, seen = {}, {}
  local function add(name)
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  local body -- whose fields or constants the lines are: a type's name, or "" for constants
  for line in page:gmatch("[^\n]+") do
    if body == "" then
      add(line:match("^%s*(%u%w*)%s*="))
    elseif body then
      local member = line:match("^%s*(%u%w*)[%s(]")
      add(member and body .. "." .. member)
    end
    if line:find("^[)}]") then
      body = nil
    elseif line:find("^const ") then
      for name in line:gmatch("(%u%w*) = ") do
        add(name)
      end
      body = line:find("%($") and "" or nil
    else
      body = line:match("^type (%u%w*) %l+ {$") or body
    end
    local of, method = line:match("^%-? ?func %(%w* ?%*?(%u%w*)%) (%u%w*)")
    add(of and of .. "." .. method)
    add(line:match("^%-? ?func (%u%w*)"))
    add(line:match("^%-? ?type (%u%w*)"))
  end
  return page:match("Package (%l+) "), names
end

return M
