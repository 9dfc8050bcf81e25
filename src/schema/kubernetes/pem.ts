// Whether a text holds certificates in PEM. A file of them may be empty or cut off while another program writes it.
// Invariant: only the form counts, since Node takes any text for authorities and reports no error, even where it finds none in it.
// Used by http/connections and kubernetes/in-cluster.

const [begin, end] = ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"]

/** Reports whether the text has at least one certificate from its first line to its last. */
export const holdsCertificate = (text: string): boolean => {
  const start = text.indexOf(begin)
  return start !== -1 && text.includes(end, start)
}
