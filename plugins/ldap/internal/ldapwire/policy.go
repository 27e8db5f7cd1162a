package ldapwire

// The errors and warnings of the policy control,
// draft-behera-ldap-password-policy. PolicyNone is ours: the control says nothing of an error.
const (
	PolicyNone             = -1
	PolicyExpired          = 0
	PolicyLocked           = 1
	PolicyChangeAfterReset = 2
	PolicyModNotAllowed    = 3
	PolicyMustSupplyOld    = 4
	PolicyQuality          = 5
	PolicyTooShort         = 6
	PolicyTooYoung         = 7
	PolicyInHistory        = 8
	PolicyTooLong          = 9
	PolicyWarningExpiry    = 0x80
	PolicyWarningGrace     = 0x81
)

// PolicyAnswer is the answer of a policy control.
type PolicyAnswer struct {
	Answered bool
	Err      int  // one of the above, valid if answered
	Expires  int  // seconds until the value expires; 0: it does not say
	OnGrace  bool // the value has expired, and this was one of the logons that are left
	Grace    int  // how many more there are, valid if onGrace
}

// Code is the error of the control, PolicyNone if there was no control.
func (p PolicyAnswer) Code() int {
	if !p.Answered {
		return PolicyNone
	}
	return p.Err
}

func decodePolicy(value []byte) PolicyAnswer {
	made := PolicyAnswer{Answered: true, Err: PolicyNone}
	sequence, _, err := Next(value)
	if err != nil {
		return made
	}
	parts, err := Elements(sequence.Body, 0)
	if err != nil {
		return made
	}
	for _, element := range parts {
		switch element.Tag {
		case 0x81:
			if count, err := element.Number(); err == nil {
				made.Err = count
			}
		case 0xa0:
			made.warn(element.Body)
		}
	}
	return made
}

// warn reads the warning of a policy control.
func (p *PolicyAnswer) warn(body []byte) {
	element, _, err := Next(body)
	if err != nil {
		return
	}
	count, err := element.Number()
	switch {
	case err != nil:
	case element.Tag == PolicyWarningExpiry:
		p.Expires = count
	case element.Tag == PolicyWarningGrace:
		p.OnGrace, p.Grace = true, count
	}
}
