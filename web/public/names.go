package public

// Names of form fields; each is also the id of its control, so that errors can
// link to it (Fault.Field is one of these).
const (
	// POST /report, multipart/form-data.
	FieldKey         = "key"         // hidden: idempotency key
	FieldDescription = "description" // the one required field; text, or one whole armored message
	FieldVersions    = "versions"    // where: versions, component, platform
	FieldReproduce   = "reproduce"
	FieldImpact      = "impact"
	FieldAddress     = "address" // optional: mail address
	FieldFiles       = "files"   // several files
	FieldName        = "name"    // under "More": optional
	FieldOwnKey      = "own_key" // under "More": the reporter's armored public key
	// FieldArmored carries what encrypt.js made of text and files, one armored
	// message; the other fields are then left out. Not empty means: "encrypted
	// in the browser". Its plaintext is a MIME entity (multipart/mixed: the
	// text with its headings, then the files).
	FieldArmored = "armored"
	// FieldAsk is the prefix of the policy's extra questions: "ask_exploited".
	FieldAsk = "ask_"

	// POST /mailbox, application/x-www-form-urlencoded; POST /mailbox/… forms
	// carry FieldCode hidden.
	FieldCode       = "code"
	FieldText       = "text"
	FieldCreditWish = "credit"      // "", "yes", "no"
	FieldCreditText = "credit_text" // exact text
	FieldWithdraw   = "withdraw"    // "yes": ticked
	FieldReason     = "reason"      // of a withdrawal; optional
	FieldItem       = "item"        // of DoFile: the item's id
	FieldFile       = "file"        // of DoFile: which of its files, from 0
	FieldInvite     = "invite"      // GET /mailbox?invite={token}, and of DoInvite
	FieldDo         = "do"          // of POST /mailbox: which form, one of the Do constants; empty: show

	// POST /notifications/request.
	FieldOrganization = "organization"
	FieldRole         = "role"
	FieldGroup        = "group"
	FieldCriterion    = "criterion"
	FieldWhy          = "why"
	FieldListAddress  = "list_address"
	FieldReviewers    = "reviewers"
	FieldAutomated    = "automated"
	FieldKeyOrPrint   = "key_id"
)

// What a form on the mailbox page does; values of FieldDo.
const (
	DoAdd      = "add"
	DoCredit   = "credit"
	DoKey      = "key"
	DoWithdraw = "withdraw"
	DoFile     = "file"   // sends a file of a reply, as attachment
	DoInvite   = "invite" // makes the mailbox one was invited to; needs no code
)

// Where the gate's pages are.
const (
	PathHome       = "/"
	PathReport     = "/report"
	PathMailbox    = "/mailbox"
	PathUpcoming   = "/upcoming"
	PathAdvisories = "/advisories"
	PathKey        = "/key.asc"
	PathFeed       = "/feed.atom"
	PathRequest    = "/notifications/request"
)
