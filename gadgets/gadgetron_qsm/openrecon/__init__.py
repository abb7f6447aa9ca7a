"""What Siemens' OpenRecon wants around an image: a label, a document, a package.

Nobody has tried any of it on a scanner; docs/openrecon.md says what is unproven.
"""
