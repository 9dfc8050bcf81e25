// ServiceAccounts, of which the program reads and writes none.
// Used by tests against a real API server.
import { type Kind, secrets } from "../../src/kubernetes/kinds.ts"

export const serviceAccounts: Kind = { ...secrets, kind: "ServiceAccount", plural: "serviceaccounts" }
