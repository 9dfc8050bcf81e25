// A name that was typed is a run of the server or an AgentTask of the cluster; the two are told apart by their form.
// Pure.
// Used by logs, get, cancel and approve.
import { Schema } from "effect"
import { ObjectName, RunId } from "../schema/names.ts"

export const isRunId = Schema.is(RunId)

export const isTaskName = Schema.is(ObjectName)
