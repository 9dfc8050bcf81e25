// Tells whether a name that was typed is the id of a run on the server or the name of an AgentTask in the cluster: by its form.
// Pure.
// Used by logs, get, cancel, approve and get-kind.
import { Schema } from "effect"
import { ObjectName, RunId } from "../../schema/names.ts"

export const isRunId = Schema.is(RunId)

export const isTaskName = Schema.is(ObjectName)
