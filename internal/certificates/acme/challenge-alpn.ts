// The protocol that an authority offers when it asks by TLS whether a name is served here. Source: RFC 8737 §6.2.

export const challengeAlpn = 'acme-tls/1';
