// The name of a task's Job: derived, so that it need not be recorded before the Job exists.
// At most 57 characters, since Kubernetes adds six for the Pod's name. A task that is named as what is made of another's name shares its Job's: it waits for that one.
// Used by core/manifest/job, core/manifest/admission-status, core/situation and core/response.
import { fingerprint } from "./fingerprint.ts"

const limit = 57

const cut = (name: string): string => {
  const tail = fingerprint(name)
  return `${name.slice(0, limit - tail.length - 1).replace(/[-.]+$/u, "")}-${tail}`
}

/** Up to this many characters, and without dots, a task's name gives `<basename>-<task>`, which an admission policy works out too. */
export const longestPlainTaskName = (basename: string): number => limit - basename.length - 1

/**
 * `<basename>-<task>`; the basename goes first when that is too long, then the task's end. Dots become dashes: Pods' host names have none.
 */
export const jobName = (basename: string, taskName: string): string => {
  const task = taskName.includes(".") ? `${taskName.replaceAll(".", "-")}-${fingerprint(taskName)}` : taskName
  const whole = `${basename}-${task}`
  if (whole.length <= limit) return whole
  return task.length <= limit ? task : cut(task)
}

export const isPlain = (basename: string, taskName: string): boolean => jobName(basename, taskName) === `${basename}-${taskName}`
