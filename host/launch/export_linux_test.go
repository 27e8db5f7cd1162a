package launch

// BuryNow is what a Brood does at times.
func (b *Brood) BuryNow() { b.buryNow() }

// ChildrenHere are the processes whose parent this one is.
func ChildrenHere() []int { return childrenHere() }
