package desk

import "strconv"

// Names of form fields. A control's id is its name, except where the same name
// occurs in several forms of a page: then it is ID(form, name). A Fault's Field
// is the control's id.
const (
	FieldVersion    = "version" // hidden: Version of the case, release or distributor shown; for ErrStale
	FieldNext       = "next"
	FieldName       = "name"
	FieldPassword   = "password"
	FieldAgain      = "password_again"
	FieldCode       = "code" // TOTP, or a step-up
	FieldPass       = "passphrase"
	FieldStepUpThen = "step_up_then" // where a form goes that waits for it
	FieldPassTwo    = "passphrase_again"
	FieldTyped      = "typed" // the name typed to confirm

	FieldText      = "text"
	FieldFiles     = "files"
	FieldLane      = "lane"
	FieldLaneID    = "lane_id"
	FieldMessage   = "message"
	FieldOwner     = "owner"
	FieldTo        = "to"
	FieldVerdict   = "verdict"
	FieldWhy       = "verdict_note"
	FieldOf        = "duplicate_of"
	FieldCited     = "cited"  // the page of the documentation a verdict rests on
	FieldCanned    = "canned" // name of one of the policy's reasons
	FieldOnce      = "once"   // hidden: of one showing of a form, so that sending it twice writes once
	FieldLetter    = "letter" // name of the letter an answer began from
	FieldNotice    = "notice"
	FieldRecipient = "recipient"
	FieldDelegate  = "delegate"
	FieldAwayFrom  = "away_from"
	FieldAwayUntil = "away_until"
	FieldTitle     = "title"
	FieldLevel     = "level"
	FieldVector    = "vector"
	FieldSeverity  = "severity_reason"
	FieldSeries    = "series"   // series_0 …
	FieldEffect    = "effect"   // effect_0 …
	FieldVersions  = "versions" // versions_0 …
	FieldReporter  = "reporter"
	FieldCredit    = "credit"
	FieldCreditAs  = "credit_text"
	FieldCVE       = "cve"
	FieldClass     = "class"
	FieldTrack     = "track"

	FieldPublicTitle = "public_title"
	FieldSummary     = "summary"
	FieldDescription = "description"
	FieldImpact      = "impact"
	FieldRemedy      = "remedy"
	FieldWorkaround  = "workaround"
	FieldReferences  = "references"
	FieldRestricted  = "restricted"
	FieldAllowed     = "allowed"

	FieldAt       = "at"
	FieldZone     = "zone"
	FieldReason   = "reason"
	FieldUrgent   = "urgent"
	FieldCase     = "case"
	FieldNumber   = "number"   // number_0 …
	FieldNoPatch  = "no_patch" // no_patch_0 …: why this series gets none
	FieldKind     = "kind"
	FieldURL      = "url"
	FieldSHA256   = "sha256"
	FieldPatch    = "patch"
	FieldReplace  = "replace" // "yes": a patch of the same name and series goes; before the files
	FieldFile     = "file"
	FieldStep     = "step"
	FieldLink     = "link"
	FieldAudience = "audience"
	FieldSubject  = "subject"
	FieldSendAt   = "send_at"
	FieldDigest   = "digest"
	FieldOutdated = "outdated" // hidden: what changed under a text, as it was shown
	FieldDelivery = "delivery"
	FieldList     = "list" // hidden: digest of the recipients shown

	FieldSignature = "signature"
	FieldPassNow   = "password_now"

	FieldAddress     = "address"
	FieldGroup       = "group"
	FieldNote        = "note"
	FieldClear       = "clear" // "yes": accepted by name to be written to in clear
	FieldKey         = "key"   // armored public key
	FieldFingerprint = "fingerprint"
	FieldRole        = "role"  // repeated
	FieldAlert       = "alert" // repeated: disclosure.AlertKind
	FieldSession     = "session"
	FieldPolicy      = "policy"
	FieldDo          = "do"
	FieldThen        = "then" // where to go on after saving a notice: "preview", or empty
	FieldHolder      = "holder"
	FieldSlot        = "slot"
	FieldMember      = "member"
	FieldSecret      = "secret" // of the second factor just shown
	FieldMail        = "mail"
)

// Indexed is the name of one row's field: Indexed("series", 2) is "series_2".
func Indexed(name string, i int) string { return name + "_" + strconv.Itoa(i) }

// ID is a control's id where its name alone would not be unique on the page.
func ID(form, name string) string { return form + "-" + name }
