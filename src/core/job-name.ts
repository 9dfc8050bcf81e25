// The name of a task's Job: derived, so that it need not be recorded before the Job exists.
// At most 57 characters, since Kubernetes adds six for the Pod's name; different tasks never share one.
// Used by core/manifest/job and core/plan.

const limit = 57

/** 32-bit FNV-1a in base 36: tells cut names apart. */
const fingerprint = (text: string): string => {
  let hash = 0x811c9dc5
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return hash.toString(36)
}

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
