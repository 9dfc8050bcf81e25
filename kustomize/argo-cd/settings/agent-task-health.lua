-- What Argo CD takes an AgentTask for; kstatus, and with it Flux, takes it for the same.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local function is(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

if status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0) then
  return { status = "Progressing", message = "The controller has not seen it yet." }
elseif is("Reconciling") then
  return { status = "Progressing", message = conditions.Reconciling.message }
elseif is("Stalled") then
  return { status = "Degraded", message = conditions.Stalled.message }
elseif is("Ready") then
  return { status = "Healthy", message = conditions.Ready.message }
end
return { status = "Progressing", message = "It has not begun." }
