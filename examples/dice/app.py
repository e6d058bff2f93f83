import random

import streamlit as st

st.title("Dice")
sides = st.slider("Sides", 4, 20, 6)
if st.button("Roll"):
    st.metric("Rolled", random.randint(1, sides))
