package desk

import (
	"fmt"
	"net/url"

	"postern/internal/disclosure"
)

// Where the desk's pages and forms are. Every form is POST, sent as
// multipart/form-data where it has files and urlencoded elsewhere, and carries
// what it needs in the fields of names.go.
const (
	PathSignIn       = "/sign-in"  // GET, POST name, password, code, next
	PathSignOut      = "/sign-out" // POST
	PathInvite       = "/invite"   // GET /invite/{token}, POST /invite/{token}: password, password_again, code
	PathUnlock       = "/unlock"   // GET, POST passphrase
	PathLock         = "/lock"     // POST
	PathStepUp       = "/step-up"  // GET ?next=, POST code, next
	PathInbox        = "/inbox"    // GET ?state= &owner= &channel= &level= &q= &after= &before=
	PathFigures      = "/figures"  // GET ?by=quarter
	PathReleases     = "/releases" // GET; POST title, case…: a new draft
	PathDistributors = "/distributors"
	PathOutbox       = "/outbox"
	PathMembers      = "/members" // GET; POST /members/invite: name, address, role…
	PathLog          = "/log"     // GET ?actor= &kind= &about= &before=
	PathHealth       = "/health"
	PathAccount      = "/account"
	PathPolicy       = "/policy"            // GET; POST policy (text), do = check | apply
	PathPause        = "/policy/pause"      // POST notice, do = pause | resume
	PathRecipient    = "/members/recipient" // POST recipient, delegate, away_from, away_until
	PathVault        = "/vault"             // GET; POST /vault/add: member, holder, passphrase, passphrase_again; /vault/remove: slot; /vault/holder: slot, member
	PathHeld         = "/held"              // GET; POST /held/release: typed
	PathDemoTime     = "/demo/time"         // POST step = 1h | 1d | 7d, or to
)

// PathCasePattern is the route of a case and, with more behind it, of its parts.
const PathCasePattern = "/cases/{n}"

// CasePath is GET /cases/{n}.
func CasePath(number int) string { return fmt.Sprintf("/cases/%d", number) }

// CaseForm is where a case's form goes; do is one of the Case… constants:
// POST /cases/{n}/{do}.
func CaseForm(number int, do string) string { return CasePath(number) + "/" + do }

// The forms of a case page.
const (
	CaseAcknowledge = "acknowledge" // version
	CaseAssign      = "assign"      // version, owner (member id; empty: nobody)
	CaseMove        = "move"        // version, to
	CaseClose       = "close"       // version, verdict, verdict_note, duplicate_of (number)
	CaseReopen      = "reopen"      // version
	CaseNote        = "note"        // text, files
	CaseReply       = "reply"       // lane (kind), lane_id, text, files
	CaseTakeBack    = "take-back"   // message
	CaseInvite      = "invite"      // reporter: mails the link by which they make a mailbox
	CaseKey         = "key"         // version, reporter, key (armored)
	CaseMerge       = "merge"       // duplicate_of (number): this case becomes part of that one
	CaseSplit       = "split"       // duplicate_of (number): undoes it, from either page
	CaseTryAgain    = "try-again"   // message
	CaseOpenWith    = "open-with"   // message, passphrase
	CaseSupply      = "supply"      // message, text
	CaseTitle       = "title"       // version, title
	CaseSeverity    = "severity"    // version, level, vector, severity_reason
	CaseAffected    = "affected"    // version, and for each series i from 0: series_i, effect_i, versions_i
	CaseCredit      = "credit"      // version, reporter, credit, credit_text
	CaseCVE         = "cve"         // version, cve, class
	CaseText        = "text"        // version, public_title, summary, description, impact, remedy, workaround, references
	CaseRestrict    = "restrict"    // version, restricted = yes, allowed (member id, repeated)
	CaseTrack       = "track"       // version, track
)

// CaseLane is the case page showing one lane: ?lane=team, ?lane=reporter:{id}.
// The empty lane shows all.
func CaseLane(number int, lane disclosure.Lane) string {
	if lane.Kind == "" {
		return CasePath(number)
	}
	q := string(lane.Kind)
	if lane.ID != "" {
		q += ":" + lane.ID
	}
	return CasePath(number) + "?lane=" + url.QueryEscape(q)
}

// CaseFragment is a part of a case page that refresh.js asks for again; the
// answer is the component of that name: "conversation" (CaseConversation).
func CaseFragment(number int, part string) string {
	return CasePath(number) + "/fragment/" + part
}

// FilePath shows a text file of a case; FileDownload sends it as attachment.
func FilePath(number int, id disclosure.FileID) string {
	return CasePath(number) + "/files/" + string(id)
}

// FileDownload sends a file as application/octet-stream, attachment.
func FileDownload(number int, id disclosure.FileID) string {
	return FilePath(number, id) + "/download"
}

// OriginalPath downloads an arrival exactly as it was received.
func OriginalPath(number int, id disclosure.ArrivalID) string {
	return CasePath(number) + "/originals/" + string(id)
}

// ReleasePath is GET /releases/{id}.
func ReleasePath(id disclosure.ReleaseID) string { return PathReleases + "/" + string(id) }

// ReleaseForm is where a release's form goes; do is one of the Release…
// constants. Those marked "page" also answer GET with a page of their own.
func ReleaseForm(id disclosure.ReleaseID, do string) string { return ReleasePath(id) + "/" + do }

// The forms of a release.
const (
	ReleaseTitle      = "title"        // version, title
	ReleasePlan       = "plan"         // version, at (2006-01-02T15:04 in zone), zone, reason, urgent = yes
	ReleasePostpone   = "postpone"     // page; version, at, zone, reason
	ReleaseCallOff    = "call-off"     // page; version, reason, typed
	ReleaseAddCase    = "add-case"     // version, case (number)
	ReleaseRemoveCase = "remove-case"  // version, case (number)
	ReleaseVersions   = "versions"     // version, and for each series i from 0: series_i, number_i, no_patch_i
	ReleasePatch      = "patch"        // version, series, case, patch (file, repeated)
	ReleasePatchDrop  = "remove-patch" // version, file
	ReleaseStep       = "step"         // version, step (name), link
	ReleaseBegin      = "begin"        // version: the day's runbook
	ReleasePublish    = "publish"      // page; version, typed
	ReleaseDraft      = "draft"        // version, audience: makes the notice from the templates
	ReleaseUrgent     = "urgent"       // version, urgent = yes, reason: the lead and the hour bind no more
	ReleaseArtefact   = "artefact"     // version, series, kind, url, sha256: where the public gets a version
	ReleaseConfirm    = "confirm"      // a second member agrees to publishing
	ReleaseLedger     = "ledger"       // GET: fragment
)

// NoticePath is GET /releases/{id}/notices/{id}.
func NoticePath(r disclosure.ReleaseID, n disclosure.NoticeID) string {
	return ReleasePath(r) + "/notices/" + string(n)
}

// NoticeForm is where a notice's form goes.
func NoticeForm(r disclosure.ReleaseID, n disclosure.NoticeID, do string) string {
	return NoticePath(r, n) + "/" + do
}

// The forms of a notice.
const (
	NoticeSave    = "save"    // version, subject, text, send_at, then (preview: go on to that page)
	NoticeRedraft = "redraft" // version: text from the template again
	NoticePreview = "preview" // GET: page, byte for byte
	NoticeRaw     = "raw"     // GET: the bytes, as attachment
	NoticeFreeze  = "freeze"  // version
	NoticeConfirm = "confirm" // version, outdated: an edited text holds, although the release changed
	NoticeThaw    = "thaw"    // version: back to draft
	NoticeSign    = "sign"    // multipart: version, signature (pasted) or file: a releaser's detached signature
	NoticeApprove = "approve" // version, digest, list
	NoticeSend    = "send"    // page; version, digest, typed
	NoticeResend  = "resend"  // delivery: an uncertain one again, with the same Message-ID
	NoticeSettle  = "settle"  // delivery: an uncertain one has arrived, by what the recipient says
	NoticeLedger  = "ledger"  // GET: fragment
	NoticeCancel  = "cancel"  // version
)

// DistributorPath is GET /distributors/{id}; "new" is the empty form. POST to it
// saves; POST …/revoke (typed), …/key (armored key), …/remove-key (fingerprint).
func DistributorPath(id disclosure.DistributorID) string {
	if id == "" {
		id = "new"
	}
	return PathDistributors + "/" + string(id)
}

// MemberForm is where a member's form goes: POST /members/{id}/{roles|disable|enable|reset},
// and …/{add-key (key)|remove-key (fingerprint)} for the certificates a releaser signs notices with.
func MemberForm(id disclosure.MemberID, do string) string {
	return PathMembers + "/" + string(id) + "/" + do
}

// AccountForm is where the account's forms go: zone, key, alerts, password,
// end-session. Password: password_now,
// password, password_again.
func AccountForm(do string) string { return PathAccount + "/" + do }

// MailPath is GET /outbox/{name}.
func MailPath(name string) string { return PathOutbox + "/" + url.PathEscape(name) }
