// Package auth knows passwords, second factors, tokens, how long a sign-in
// lasts and how often one may try. It is pure: no database, no network, and
// the time is always an argument, so that the rules can be tested by the hour.
//
// The time given to it is wall time, never the demo's moved time. Secrets
// appear in no error and in no fmt or slog output.
package auth
