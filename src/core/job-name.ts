// The name of a task's Job: derived, so that it need not be recorded before the Job exists.
// At most 57 characters, since Kubernetes adds six for the Pod's name; different tasks never share one.
// Used by core/manifest/job and core/plan.
import { fingerprint } from "./fingerprint.ts"

const limit = 57

const cut = (name: string): string => {
  const tail = fingerprint(name)
  return `${name.slice(0, limit - tail.length - 1).replace(/[-.]+$/u, "")}-${tail}`
}

/** `<basename>-<task>`; the basename goes first when that is too long, then the task's end. Dots become dashes: Pods' host names have none. */
export const jobName = (basename: string, taskName: string): string => {
  const task = taskName.includes(".") ? `${taskName.replaceAll(".", "-")}-${fingerprint(taskName)}` : taskName
  const whole = `${basename}-${task}`
  if (whole.length <= limit) return whole
  return task.length <= limit ? task : cut(task)
}
