/** What is special about each carrier's set-up. */
export const CARRIERS = [
  { value: "twilio", label: "Twilio", secret: "the account’s auth token", at: "the number’s voice configuration" },
  { value: "signalwire", label: "SignalWire", secret: "the signing key", at: "the number’s cXML settings" },
  { value: "telnyx", label: "Telnyx", secret: "the public key, in base64", at: "the TeXML application" },
  { value: "somleng", label: "Somleng", secret: "the auth token", at: "the number’s settings" },
  { value: "own", label: "Our own gateway", secret: "the gateway’s signing key", at: "the gateway’s configuration" },
] as const;
