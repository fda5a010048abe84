/** A question as a user would put it, and where its answer stands: the document and a part of the heading path. */
export type Question = { question: string; document: string; section: string };

/** Ten questions to the manual of Fastify 5.12. */
export const questions: Question[] = [
  { question: "How do I set the body size limit?", document: "Reference/Server.md", section: "bodyLimit" },
  { question: "What does the onSend hook do?", document: "Reference/Hooks.md", section: "onSend" },
  { question: "How can I trust a proxy?", document: "Reference/Server.md", section: "trustProxy" },
  {
    question: "How do I hide the authorization header in the logs?",
    document: "Reference/Logging.md",
    section: "Log Redaction",
  },
  {
    question: "How do I redirect a user to another URL?",
    document: "Reference/Reply.md",
    section: ".redirect(dest, [code])",
  },
  { question: "How can I return a custom 404 page?", document: "Reference/Server.md", section: "setNotFoundHandler" },
  {
    question: "How long is an idle keep-alive connection kept open?",
    document: "Reference/Server.md",
    section: "keepAliveTimeout",
  },
  {
    question: "Can several routes share one JSON schema?",
    document: "Reference/Validation-and-Serialization.md",
    section: "Adding a shared schema",
  },
  { question: "How can I get the IP address of the client?", document: "Reference/Request.md", section: ".ip" },
  {
    question: "How do I make sure requests are refused until my service is ready?",
    document: "Guides/Delay-Accepting-Requests.md",
    section: "Solution",
  },
];
