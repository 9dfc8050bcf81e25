// Makes room after a name for what tells it apart from others.
// The result must never change: names of live objects are made of it.
// Used by core/task/job-name, core/reconcile/attempts, core/resolve/resolve, core/overlay/file-name and controller/reconcile/event.

/** Returns at most `most` characters of the name. What is left never ends in `-` or `.`, since no name may have both before its next part. */
export const cutName = (name: string, most: number): string => name.slice(0, most).replace(/[-.]+$/u, "")
