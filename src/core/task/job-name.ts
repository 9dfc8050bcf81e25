// The name of a task's Job, derived from the task's name so that it need not be recorded before the Job exists.
// At most 57 characters, since Kubernetes adds six for the Pod's name. If two tasks have the same Job name, one waits for the other.
// Used wherever a Job is made, or known by its name.
import { cutName } from "../text/cut-name.ts"
import { fingerprint } from "../text/fingerprint.ts"

const limit = 57

const cut = (name: string): string => {
  const tail = fingerprint(name)
  return `${cutName(name, limit - tail.length - 1)}-${tail}`
}

/**
 * Returns the most characters that a task's name may have for its Job to be called `<basename>-<task>`, which an admission policy derives
 * too. Names with dots are changed at any length.
 */
export const longestPlainTaskName = (basename: string): number => limit - basename.length - 1

/**
 * Returns `<basename>-<task>`. If that is too long, the basename is dropped first, and then the end of the task's name is cut. Dots become
 * dashes, because the host names of Pods have none. A name that begins with the basename is cut too: it may be that of another task's Job,
 * whose status policies would let this one's worker write.
 */
export const jobName = (basename: string, taskName: string): string => {
  const task = taskName.includes(".") ? `${taskName.replaceAll(".", "-")}-${fingerprint(taskName)}` : taskName
  const whole = `${basename}-${task}`
  if (whole.length <= limit) return whole
  return task.length <= limit && !task.startsWith(`${basename}-`) ? task : cut(task)
}

export const isPlain = (basename: string, taskName: string): boolean => jobName(basename, taskName) === `${basename}-${taskName}`
