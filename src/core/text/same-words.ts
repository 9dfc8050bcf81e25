// Whether two messages of Kubernetes say the same: each try to start a Pod has names, ids and amounts of its own in its words.
// Used by core/reconcile/response.

/** What differs from try to try, and how the words begin once there were many alike. */
const ofOneTry = [
  String.raw`\(combined from similar events\): `,
  String.raw`(?<=\bpods ")[^"]+(?=" is forbidden)`, // the name that was made up for a Pod
  String.raw`(?<=\bresource Pod\/[a-z\d-]+\/)\S+(?= was blocked due to )`, // the same in a denial of Kyverno
  String.raw`(?<=, used: )\S+`, // what others have of a quota
  String.raw`(?<!\bsha256:)\b[0-9a-f]{64}\b`, // the id of a sandbox, and not the digest of an image
  String.raw`(?<=/netns/)[\w-]+`, // the name of its network
  String.raw`(?<=\bback-off )[\dhms.]+(?= restarting failed container=)`, // how long the kubelet waits before the next try
  String.raw`\bBack-off pulling image "[^"]*": \w+: ` // how it begins meanwhile to say what was wrong with the last one
]
const pattern = new RegExp(ofOneTry.join("|"), "gu")

/** Reports whether the messages differ in nothing but what is of one try. */
export const sayTheSame = (one: string, other: string): boolean => one.replace(pattern, "") === other.replace(pattern, "")
